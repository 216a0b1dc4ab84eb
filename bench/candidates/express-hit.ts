import type { IsrOptions } from 'fastify-isr'
import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

/** Not every version has it. */
type Options = IsrOptions & { expressLane?: boolean }

const expressHit: Candidate = {
  title: 'memory hit, express lane',
  createApp: async ({ kilobytes }) => {
    const options: Options = { expressLane: true }
    const app = await createPrerenderedApp(options, { kilobytes })
    const { expressLane } = app.isr.stats() as { expressLane?: unknown }
    if (expressLane === undefined || expressLane === null) throw new Error('the express lane is off here')
    return app
  },
  cacheStatus: 'fastify-isr; hit',
  isOptional: true
}

export default expressHit
