// Tries random templates until the time is over: npm run fuzz -- [--seconds 60] [--seed n]
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { findEscape, findScriptEscape } from './escaping-property.js'
import { probing } from './escaping-probes.js'
import { scripts, templates } from './escaping-templates.js'

const { values: options } = parseArgs({ options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } } })
const seed = Number(options.seed)
const milliseconds = Number(options.seconds) * 1000
if (!Number.isInteger(seed) || !(milliseconds > 0)) {
  console.error('usage: npm run fuzz -- [--seconds 60] [--seed n]')
  process.exit(2)
}

let accepted = 0
let refused = 0
let failed = false
console.log(`seed ${seed}`)
for (const { title, arbitrary, find, share } of [
  { title: 'templates', arbitrary: templates, find: findEscape, share: 0.5 },
  { title: 'probes', arbitrary: probing, find: findEscape, share: 0.3 },
  { title: 'scripts', arbitrary: scripts, find: findScriptEscape, share: 0.2 }
]) {
  const details = fc.check(fc.property(arbitrary, template => {
    const finding = find(template)
    if (finding === 'refused') refused++
    else accepted++
    if (finding !== null && finding !== 'refused') throw new Error(JSON.stringify(finding, null, 2))
  }), { seed, numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: milliseconds * share, maxSkipsPerRun: 0 })
  if (details.counterexample !== null) {
    failed = true
    console.error(`${title}: ${JSON.stringify(details.counterexample)}\n${details.errorInstance instanceof Error ? details.errorInstance.message : ''}`)
  }
}
console.log(`${accepted} templates accepted, ${refused} refused${failed ? '' : ', no value got out'}`)
process.exitCode = failed ? 1 : 0
