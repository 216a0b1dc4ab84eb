import type { Candidate } from '../candidate.js'
import { createSite, visited } from '../known-site.js'

const knownPages: Candidate = {
  title: 'memory hit',
  createApp: createSite,
  cacheStatus: 'fastify-isr; hit',
  paths: visited
}

export default knownPages
