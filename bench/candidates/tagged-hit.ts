import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const taggedHit: Candidate = {
  title: 'memory hit, 50 tags',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, {
    kilobytes,
    policy: { tags: Array.from({ length: 50 }, (_, nth) => `topic-${nth}`) }
  }),
  cacheStatus: 'fastify-isr; hit'
}

export default taggedHit
