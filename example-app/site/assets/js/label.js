import { ageInWords, read } from './_reading.js'

const label = document.querySelector('[data-label]')
const button = label.querySelector('[data-ask]')
const cell = name => label.querySelector(`[data-read="${name}"]`)
const renderedAt = label.querySelector('[data-rendered] time').dateTime

async function ask () {
  const reading = await read(document.location.href)
  label.dataset.state = reading.state
  cell('state').textContent = reading.words
  cell('age').textContent = ageInWords(reading.age)
  cell('cache-status').textContent = reading.cacheStatus ?? 'none'
  cell('etag').textContent = reading.etag ?? 'none'

  // What is on the screen may be older than what a second request gets: the first one set off the render.
  const isNewer = reading.state !== 'live' && reading.renderedAt !== null && reading.renderedAt > renderedAt
  return isNewer ? 'The page has been rendered again since. Reload to see the new one.' : ''
}

button.hidden = false
button.addEventListener('click', async () => {
  const time = new Date().toLocaleTimeString('en-GB')
  cell('news').textContent = await ask() || `Asked at ${time}: nothing newer.`
})

cell('news').textContent = await ask()
