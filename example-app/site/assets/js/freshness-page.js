import { answerAt, segmentsOf, stateAt } from './freshness.ts'

const clock = document.querySelector('[data-clock]')
const since = document.querySelector('[data-since]')
const generatedAt = new Date(document.querySelector('[data-generated] time').dateTime)

function tick () {
  const now = new Date()
  clock.textContent = `${now.toISOString().slice(0, 10)} ${now.toISOString().slice(11, 19)} UTC`
  since.textContent = `${duration(Math.max(0, Math.floor((now - generatedAt) / 1000)))} old`
  setTimeout(tick, 1000 - now.getMilliseconds())
}

function duration (seconds) {
  const parts = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]
  const largest = parts.findIndex(([size]) => seconds >= size)
  if (largest === -1) return '0 s'
  return parts.slice(largest, largest + 2).map(([size, unit], index) => {
    const whole = Math.floor(seconds / size)
    return `${index === 0 ? whole : whole % (parts[largest][0] / size)} ${unit}`
  }).join(' ')
}

const lab = document.querySelector('[data-lab]')
const timeline = lab.querySelector('.timeline svg')
const out = name => lab.querySelector(`[data-out="${name}"]`)

function update () {
  const windows = {
    ttl: lab.elements.ttl.valueAsNumber,
    staleWhileRevalidate: lab.elements.staleWhileRevalidate.valueAsNumber,
    staleIfError: lab.elements.staleIfError.valueAsNumber
  }
  const segments = segmentsOf(windows)
  const end = segments.at(-1).to
  lab.elements.age.max = String(end)
  const age = lab.elements.age.valueAsNumber
  const answer = answerAt(age, windows, lab.elements.rendering.value)

  for (const slider of lab.querySelectorAll('input[type="range"]')) {
    lab.querySelector(`[data-value="${slider.name}"]`).textContent = `${slider.value} s`
    slider.setAttribute('aria-valuetext', `${slider.value} seconds`)
  }
  lab.elements.age.setAttribute('aria-valuetext', `${age} seconds, ${stateAt(age, windows)}`)

  draw(segments, age, end)
  lab.querySelector('[data-answer]').dataset.state = answer.state
  out('state').dataset.state = answer.state
  for (const name of ['state', 'visitor', 'behind', 'status', 'cacheStatus']) write(out(name), String(answer[name]))
}

function draw (segments, age, end) {
  const percent = seconds => `${(seconds / end * 100).toFixed(2)}%`
  const words = []
  for (const { state, from, to } of segments) {
    const rect = timeline.querySelector(`rect.${state}`)
    rect.setAttribute('x', percent(from))
    rect.setAttribute('width', percent(to - from))
    lab.querySelector(`[data-range="${state}"]`).textContent = state === 'expired' ? `${from} s →` : `${from}–${to} s`
    words.push(state === 'expired' ? `expired from ${from} seconds` : `${state} from ${from} to ${to} seconds`)
  }
  timeline.setAttribute('aria-label', words.join(', '))
  const line = timeline.querySelector('.marker line')
  line.setAttribute('x1', percent(age))
  line.setAttribute('x2', percent(age))
  timeline.querySelector('.marker circle').setAttribute('cx', percent(age))
}

/** Screen readers announce an output when it is written, so it is only written when it changes. */
function write (element, text) {
  if (element.textContent !== text) element.textContent = text
}

lab.addEventListener('input', update)
// The fields have their first values back only after the event.
lab.addEventListener('reset', () => setTimeout(update))
lab.addEventListener('submit', event => event.preventDefault())

tick()
// A reload keeps the positions of the sliders in some browsers; the HTML knows nothing of that.
update()
document.documentElement.dataset.hydrated = 'yes'
