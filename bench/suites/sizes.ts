import { contend } from '../compare.js'
import { SETTING } from '../running.js'
import { addTable, begin, withCandidates, type Suite } from '../suite.js'

const CANDIDATES = ['raw', 'plain', 'memory-hit', 'express-hit', 'disk-hit', 'static', 'dedupe', 'uncached', 'nginx', 'varnish']

export const sizes: Suite = async context => {
  const result = begin('sizes', context)
  // That page is the one of `hit` and `peers`: once is enough.
  const isThere = ['hit', 'peers'].every(name => context.options.suites.some(suite => suite === name))
  for (const kilobytes of isThere ? [1, 100] : [1, 10.6, 100]) {
    await withCandidates(CANDIDATES, context, result, async running => {
      await addTable(result, running.map(candidate => contend(candidate)), context, { name: `${kilobytes}`, title: `One page of ${kilobytes} KB`, reference: 'raw' })
    }, { ...SETTING, kilobytes })
  }
}
