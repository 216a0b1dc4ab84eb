import type { Candidate } from '../candidate.js'
import { registerCommonPlugins } from '../common-plugins.js'
import { createPrerenderedApp } from '../prerendered-app.js'
import { withNodeHeads } from '../node-heads.js'

const hookedNodeHeadHit: Candidate = {
  title: 'the same, with heads that Node makes',
  createApp: ({ kilobytes }) => createPrerenderedApp({}, { kilobytes, server: withNodeHeads(), setUp: registerCommonPlugins }),
  cacheStatus: 'fastify-isr; hit'
}

export default hookedNodeHeadHit
