import fc from 'fast-check'
import { test } from 'tap'
import { findEscape, findScriptEscape } from './escaping-property.js'
import { PROBING, PROBING_SCRIPT, probes, scriptProbes } from './escaping-probes.js'
import { type Templates, scripts, templates } from './escaping-templates.js'

// Always the same templates; `npm run fuzz` tries others.
const SEED = 20_260_225

for (const [title, arbitrary, find, runs] of [
  ['no value changes what a browser reads, in whatever template', templates, findEscape, 2500],
  ['no value is run by a script, whatever stands around it', scripts, findScriptEscape, 1000]
] as const) {
  test(title, async t => {
    let accepted = 0
    const details = fc.check(fc.property(arbitrary as fc.Arbitrary<Templates>, template => {
      const finding = find(template)
      if (finding !== 'refused') accepted++
      if (finding !== null && finding !== 'refused') throw new Error(JSON.stringify(finding))
    }), { seed: SEED, numRuns: runs })
    t.equal(details.failed, false, `${JSON.stringify(details.counterexample)}: ${details.errorInstance instanceof Error ? details.errorInstance.message : ''}`)
    // A tracker that refuses everything would be safe, too.
    t.ok(accepted > runs / 10, `${accepted} of ${runs} templates were accepted`)
  })
}

for (const [title, all, find] of [
  ['no value gets out where two readings of HTML differ', probes, (template: Templates) => findEscape(template, PROBING)],
  ['no value is run where two readings of a script differ', scriptProbes, (template: Templates) => findScriptEscape(template, PROBING_SCRIPT)]
] as const) {
  test(title, async t => {
    let accepted = 0
    let tried = 0
    for (const template of all()) {
      const finding = find(template)
      tried++
      if (finding !== 'refused') accepted++
      if (finding === null || finding === 'refused') continue
      t.fail(`${JSON.stringify(template)}: ${JSON.stringify(finding)}`)
      if (t.counts.fail >= 10) return
    }
    t.ok(accepted > tried / 100, `${accepted} of ${tried} templates were accepted`)
  })
}
