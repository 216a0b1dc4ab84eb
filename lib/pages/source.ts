import type { FastifyBaseLogger } from 'fastify'
import type { RenderReason } from '../../types/index.js'
import type { Source } from '../cache/source.js'
import type { Settings } from '../options.js'
import { channels } from '../telemetry.js'
import type { Quality } from './encode.js'
import type { PageKey } from './key.js'
import { judge, knownTags } from './page.js'
import type { Rendered, RenderPage } from './render.js'
import type { PageRoute } from './registry.js'
import type { Unstorable } from './storable.js'

export interface SourceContext {
  settings: Settings
  log: FastifyBaseLogger
  /** In this thread or in another one. */
  render: RenderPage
}

export interface SourceOptions {
  /** Overrides the engine's reason: a build and the development mode render for reasons of their own. */
  reason?: RenderReason
  jitter?: boolean
  quality?: Quality
}

/** How a page is made; the same for a build, a cold visit and a regeneration. */
export function pageSource (context: SourceContext, route: PageRoute, page: PageKey, options: SourceOptions = {}): Source<Rendered> {
  const { settings, log } = context
  const known = knownTags(route, page)
  return {
    key: page.key,
    tags: known.tags,
    jitter: options.jitter ?? false,
    async render ({ reason, signal, isNested }) {
      const rendered = await context.render({ settings, route, page, reason: options.reason ?? reason, signal, isNested })
      const { outcome, unstorable } = judge(rendered, known, settings, options.quality)
      if (unstorable !== undefined) warnOnce(log, route, page, unstorable)
      return outcome
    },
    onSettled (report) {
      const reason = options.reason ?? report.reason
      const names = { key: page.key, path: page.path, route: route.pattern }
      const outcome = report.outcome === 'stored' || report.outcome === 'renewed' ? 'storable' : report.outcome === 'failed' ? 'failure' : 'unstorable'
      const error = report.error === undefined ? {} : { error: report.error }
      if (channels.render.hasSubscribers) {
        channels.render.publish({ ...names, reason, outcome, ...(report.detail === undefined ? {} : { detail: report.detail }), durationMs: report.durationMs, queuedMs: report.queuedMs, ...error })
      }
      if (report.hadOld && channels.regenerate.hasSubscribers) {
        channels.regenerate.publish({ key: page.key, path: page.path, reason, outcome: report.outcome === 'renewed' ? 'renewed' : outcome, durationMs: report.durationMs, ...error })
      }
      const facts = { key: page.key, reason, outcome: report.outcome, detail: report.detail, ms: Math.round(report.durationMs) }
      // Once per run of failures; the build's report names its own.
      if (report.failures === 1 && report.error !== undefined) log.warn({ ...facts, err: report.error }, 'page could not be rendered')
      else log.debug({ ...facts, ...error }, 'page rendered')
    }
  }
}

function warnOnce (log: FastifyBaseLogger, route: PageRoute, page: PageKey, { reason, fix }: Unstorable): void {
  if (fix === null || route.warned.has(reason)) return
  route.warned.add(reason)
  log.warn({ route: route.pattern, path: page.path, reason }, `route GET ${route.pattern} can't be stored: ${fix}`)
}
