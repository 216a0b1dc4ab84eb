import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const memoryHit: Candidate = {
  title: 'memory hit (default lane)',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, { kilobytes }),
  cacheStatus: 'fastify-isr; hit'
}

export default memoryHit
