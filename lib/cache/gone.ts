import type { RenderedAt } from '../cluster/coordinator.js'
import type { Entry } from './entry.js'

/** Seconds. By then every instance has been restarted, or has asked. */
const KEPT_FOR = 7 * 86_400

/**
 * What stands where others look, instead of a page that was found to be no
 * more: so that nobody puts an older copy there again.
 */
export function makeGone (key: string, buildId: string, { epoch, incarnation, renderedAt }: RenderedAt): Entry {
  return {
    key,
    buildId,
    epoch,
    incarnation,
    renderedAt,
    ttl: KEPT_FOR,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    jitter: 0,
    tags: [],
    meta: { gone: true },
    hash: '',
    bodies: [{ encoding: 'identity', bytes: Buffer.alloc(0) }]
  }
}

export function isGone ({ meta }: Entry): boolean {
  return meta.gone === true
}
