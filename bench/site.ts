// How fast templates are beside other engines: npm run bench:site -- [--rounds 7] [--milliseconds 300] [--posts 20] [--json]
import { parseArgs } from 'node:util'
import { parse, serialize } from 'parse5'
import { align, describeMachine, formatMachine } from './report.js'
import { median, medianRatio, rotate } from './rounds.js'
import { type Engine, engines, examplePage } from './template-engines.js'

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    /** Of rendering, of each engine in each round. */
    milliseconds: { type: 'string', default: '300' },
    /** In the list of the page. */
    posts: { type: 'string', default: '20' },
    json: { type: 'boolean', default: false }
  }
})
const [rounds, milliseconds, posts] = [options.rounds, options.milliseconds, options.posts].map(Number) as [number, number, number]
const page = examplePage(posts)

/** Engines escape the same characters differently, and leave other blanks. */
function meaningOf (html: string): string {
  return serialize(parse(html)).replace(/\s+/g, ' ').replace(/> | </g, bracket => bracket.trim())
}

/** Microseconds per page. */
function measure ({ render }: Engine, atLeast: number): number {
  let pages = 0
  let written = 0
  const start = performance.now()
  let now = start
  while (now - start < atLeast) {
    // The clock is not asked for every page.
    for (let nth = 0; nth < 50; nth++) written += render(page).length
    pages += 50
    now = performance.now()
  }
  if (written === 0) throw new Error('nothing was rendered')
  return (now - start) * 1000 / pages
}

const candidates = engines().map(engine => ({ ...engine, rounds: [] as number[] }))
const [reference] = candidates
if (reference === undefined) throw new Error('there is no engine')
const expected = meaningOf(reference.render(page))
for (const { name, render } of candidates) {
  if (meaningOf(render(page)) !== expected) throw new Error(`${name} renders another page`)
}
for (const candidate of candidates) measure(candidate, milliseconds)
for (let round = 0; round < rounds; round++) {
  for (const candidate of rotate(candidates, round)) candidate.rounds.push(measure(candidate, milliseconds))
}
const rows = candidates.map(({ name, rounds }) => ({ name, microseconds: median(rounds), ratio: medianRatio(rounds, reference.rounds) }))
if (options.json) {
  console.log(JSON.stringify({ machine: describeMachine(), rounds, milliseconds, posts, bytes: reference.render(page).length, rows }, null, 2))
} else {
  console.log(align([[`a post of ${(reference.render(page).length / 1000).toFixed(1)} kB, ${posts} others in a list`, 'µs', `× ${reference.name}`],
    ...rows.map(({ name, microseconds, ratio }) => [name, microseconds.toFixed(1), ratio.toFixed(2)])]))
  console.log(`\nmedians of ${rounds} rounds of ${milliseconds} ms each, in one process, the engines in turn`)
  console.log(formatMachine(describeMachine()))
}
