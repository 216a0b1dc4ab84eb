import { contend } from '../compare.js'
import { BROWSER } from '../requests.js'
import { addTable, begin, withCandidates, type Suite } from '../suite.js'

export const CANDIDATES = [
  'raw', 'plain', 'memory-hit', 'express-hit', 'empty-requests-hit', 'node-head-hit', 'hooked-plain', 'hooked-plain-headers', 'hooked-hit',
  'disk-hit', 'static', 'dedupe', 'uncached', 'nginx'
]
/** They are there for one target, which the table of the faster generator tells. */
const HOOKED = ['hooked-plain', 'hooked-plain-headers', 'hooked-hit']
const WITH_BROWSER = ['raw', 'plain', 'memory-hit', 'express-hit', 'nginx']

export const hit: Suite = async context => {
  const result = begin('hit', context)
  const { options: { long, seconds }, generators, fastest } = context
  await withCandidates(CANDIDATES, context, result, async running => {
    const all = running.map(candidate => contend(candidate))
    const most = all.filter(({ name }) => !HOOKED.includes(name))
    for (const generator of generators) {
      const name = generator === fastest ? 'minimal' : generator.name
      await addTable(result, generator === fastest ? all : most, context, { name, title: 'One page of 10.6 KB', reference: 'raw', generator })
    }
    const browsers = running.filter(({ name }) => WITH_BROWSER.includes(name)).map(candidate => contend(candidate, { headers: BROWSER }))
    await addTable(result, browsers, context, { name: 'browser', title: "The same with a browser's headers", reference: 'raw' })
    if (long > 0) {
      await addTable(result, most, context, { name: 'long', title: 'The same for longer', reference: 'raw', rounds: 1, seconds: Math.max(long, seconds), connections: 100 })
    }
  })
}

/** For development: a minute. */
export const quick: Suite = async context => {
  const result = begin('quick', context)
  await withCandidates(context.options.only ?? ['raw', 'plain', 'memory-hit', 'express-hit', 'disk-hit', 'uncached'], context, result, async running => {
    const all = running.map(candidate => contend(candidate))
    await addTable(result, all, context, { name: 'minimal', title: 'One page of 10.6 KB', reference: 'raw', generator: context.autocannon })
  })
}
