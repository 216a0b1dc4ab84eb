// Searches the documentation here: the index is one file, fetched when somebody is about to search.
const root = document.querySelector('[data-search]')
const input = root.querySelector('input')
const status = root.querySelector('[data-search-status]')
const results = root.querySelector('[data-search-results]')
const MOST = 20
/** Characters around what was found. */
const AROUND = 80

let index = null
/** Counts the searches, so that a slow one does not replace a later one. */
let latest = 0

async function load () {
  const response = await fetch(root.dataset.search)
  if (!response.ok) throw new Error(`the index answered ${response.status}`)
  const sections = await response.json()
  return sections.map(section => ({ ...section, name: `${section.page} ${section.heading}`.toLowerCase(), words: section.text.toLowerCase() }))
}

async function search () {
  const mine = ++latest
  const words = input.value.toLowerCase().split(/\s+/).filter(word => word !== '')
  if (words.join('').length < 2) return show([], '')
  try {
    index ??= load()
    const sections = await index
    if (mine !== latest) return
    const found = sections
      .map(section => ({ section, score: scoreOf(section, words) }))
      .filter(({ score }) => score > 0)
      .sort((a, b) => b.score - a.score)
    show(found.slice(0, MOST).map(({ section }) => item(section, words)), found.length === 0 ? 'Nothing found.' : found.length === 1 ? '1 section found.' : `${found.length} sections found.`)
  } catch {
    index = null
    show([], 'The search does not answer at the moment.')
  }
}

/** All words have to be there; those in a heading count for more. */
function scoreOf ({ name, words: text }, words) {
  let score = 0
  for (const word of words) {
    const inName = name.includes(word)
    if (!inName && !text.includes(word)) return 0
    score += inName ? 10 : 1
  }
  return score
}

function item ({ page, heading, url, text, words: lower }, [word]) {
  const link = document.createElement('a')
  link.href = url
  link.textContent = heading === '' ? page : `${page}: ${heading}`
  const at = Math.max(0, lower.indexOf(word) - AROUND)
  const excerpt = document.createElement('span')
  excerpt.textContent = (at > 0 ? '… ' : '') + text.slice(at, at + 2 * AROUND) + (at + 2 * AROUND < text.length ? ' …' : '')
  const entry = document.createElement('li')
  entry.append(link, excerpt)
  return entry
}

function show (items, text) {
  results.replaceChildren(...items)
  status.textContent = text
}

root.hidden = false
input.addEventListener('input', search)
input.form.addEventListener('submit', event => {
  event.preventDefault()
  search()
})
// A browser may have kept what was typed before.
if (input.value !== '') search()
