import type { Candidate } from '../candidate.js'
import { renderCostly } from '../costly.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const costlyHit: Candidate = {
  title: 'page of 22 ms, memory hit',
  createApp: () => createPrerenderedApp({}, { render: renderCostly }),
  cacheStatus: 'fastify-isr; hit'
}

export default costlyHit
