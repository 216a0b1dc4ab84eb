import type { Candidate } from '../candidate.js'
import { withNodeHeads } from '../node-heads.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const nodeHeadHit: Candidate = {
  title: 'memory hit, with heads that Node makes',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, { kilobytes, server: withNodeHeads() }),
  cacheStatus: 'fastify-isr; hit'
}

export default nodeHeadHit
