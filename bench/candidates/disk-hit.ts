import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const diskHit: Candidate = {
  title: 'disk hit',
  createApp: ({ kilobytes }) => createPrerenderedApp({ memory: { maxBytes: 0 } }, { kilobytes }),
  cacheStatus: 'fastify-isr; hit'
}

export default diskHit
