import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Isr, OrderResult } from '../../types/index.js'
import type { DataCache } from '../data/data-cache.js'
import type { FetchAttempt, Fetched } from '../data/source.js'
import { WorkerDied } from '../errors.js'
import type { Question, Visited } from './messages.js'
import { ThreadEnded, type Asker } from './render-thread.js'

export interface AnswersOptions {
  app: FastifyInstance
  isr: Isr
  data: DataCache
  order (kind: 'soft' | 'hard', key: string): Promise<OrderResult>
}

/** What the main thread answers to workers: as the owner of cache, cluster and orders. */
export class Answers {
  readonly #options: AnswersOptions
  /** Who can fetch a datum, by its key. */
  readonly #askers = new Map<string, Set<Asker>>()

  constructor (options: AnswersOptions) {
    this.#options = options
  }

  async answer (question: Question, asker: Asker): Promise<unknown> {
    switch (question.type) {
      case 'data': return await this.#data(question, asker)
      case 'order': return await this.#options.order(question.kind, question.key)
      case 'visit': return await asker.within(async () => await this.#visit(question))
      case 'call': return await (this.#options.isr[question.method] as (...args: readonly unknown[]) => Promise<unknown>)(...question.args)
    }
  }

  /** Single-flight, freshness, tags and leases are the engine's; only the fetching is left to the worker. */
  async #data ({ name, key, tags, isRefresh }: Extract<Question, { type: 'data' }>, asker: Asker): Promise<Uint8Array> {
    const family = this.#options.data.get(name)
    if (family === undefined) throw new Error(`data '${name}' exist in the worker thread only: isr.cached() must be called where the running app calls it, too`)
    const askers = this.#askers.get(key) ?? new Set()
    askers.add(asker)
    this.#askers.set(key, askers)
    try {
      const request = { key, tags, fetch: async (attempt: FetchAttempt) => await this.#fetch(key, asker, attempt) }
      const held = await asker.within(async () => isRefresh ? await family.refreshed(request) : await family.held(request))
      return held.entry.bodies[0]?.bytes ?? new Uint8Array()
    } finally {
      askers.delete(asker)
      if (askers.size === 0) this.#askers.delete(key)
    }
  }

  /** By the first who asked, or, if its thread ends over something else, by the next. */
  async #fetch (key: string, first: Asker, { hasOld, signal }: FetchAttempt): Promise<Fetched> {
    const tried = new Set<Asker>()
    for (let asker: Asker | undefined = first; asker !== undefined; asker = [...this.#askers.get(key) ?? []].find(other => other.isAlive && !tried.has(other))) {
      tried.add(asker)
      try {
        return await asker.fetch(hasOld, signal)
      } catch (error) {
        if (!(error instanceof ThreadEnded)) throw error
      }
    }
    throw new WorkerDied(key, 'its thread has ended')
  }

  async #visit ({ method, url, headers }: Extract<Question, { type: 'visit' }>): Promise<Visited> {
    const answer = await this.#options.app.inject({ method: method as NonNullable<InjectOptions['method']>, url, headers: { ...headers } })
    return { status: answer.statusCode, headers: answer.headers as Visited['headers'], body: answer.rawPayload }
  }
}
