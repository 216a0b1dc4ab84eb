import type { Candidate } from '../candidate.js'
import { registerCommonPlugins } from '../common-plugins.js'
import { createPrerenderedApp } from '../prerendered-app.js'

const hookedHit: Candidate = {
  title: 'memory hit, with cookie, cors and helmet',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, { kilobytes, setUp: registerCommonPlugins }),
  cacheStatus: 'fastify-isr; hit'
}

export default hookedHit
