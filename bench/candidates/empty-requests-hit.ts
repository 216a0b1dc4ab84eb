import type { FastifyServerOptions } from 'fastify'
import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

/** Documented by Node, and not yet among its types here. */
const server = { http: { optimizeEmptyRequests: true } } as FastifyServerOptions

const emptyRequestsHit: Candidate = {
  title: 'memory hit, with optimizeEmptyRequests',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, { kilobytes, server }),
  cacheStatus: 'fastify-isr; hit',
  unavailable: () => major > 25 || (major === 25 && minor >= 1) || (major === 24 && minor >= 12) ? null : 'optimizeEmptyRequests needs Node 24.12 or later'
}

export default emptyRequestsHit
