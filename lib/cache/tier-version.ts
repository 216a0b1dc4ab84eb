import type { IsrTierVersion } from '../../types/index.js'

/** When something was rendered. */
export interface RenderVersion {
  readonly incarnation?: string | undefined
  readonly epoch: number
  readonly renderedAt: number
}

export function tierVersion ({ incarnation = '', epoch, renderedAt }: RenderVersion): IsrTierVersion {
  // Like in the codec: others know whole epochs only.
  return { incarnation, epoch: Math.floor(epoch), renderedAt: Math.floor(renderedAt) }
}

/** Newer than any other, and than itself: what replaces or removes whatever is there. */
export const NEWEST: IsrTierVersion = { incarnation: '*', epoch: Number.MAX_SAFE_INTEGER, renderedAt: Number.MAX_SAFE_INTEGER }

/** Whether a version that is being written may replace one that is there. */
export function replaces (next: IsrTierVersion, standing: IsrTierVersion): boolean {
  if (next.incarnation !== standing.incarnation) return next.incarnation !== ''
  return next.epoch !== standing.epoch ? next.epoch > standing.epoch : next.renderedAt >= standing.renderedAt
}
