import type { FastifyInstance } from 'fastify'

/** One way to answer the page. A module in `candidates/` exports one as its default. */
export interface Candidate {
  title: string
  /** An app that answers the page at `/`, not yet listening. */
  createApp (): Promise<FastifyInstance>
  /** What `Cache-Status` must contain once the app is warm; without it the header must be absent. */
  cacheStatus?: string
}
