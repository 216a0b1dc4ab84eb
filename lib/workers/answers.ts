import type { FastifyInstance, InjectOptions } from 'fastify'
import type { Isr, OrderResult } from '../../types/index.js'
import type { DataCache } from '../data/data-cache.js'
import type { FetchAttempt, Fetched } from '../data/source.js'
import { WorkerDied } from '../errors.js'
import { Askers } from './askers.js'
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
  readonly #askers = new Askers()

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
    return await this.#askers.during(key, asker, async () => {
      const request = { key, tags, fetch: async (attempt: FetchAttempt) => await this.#fetch(key, asker, attempt) }
      const held = await asker.within(async () => isRefresh ? await family.refreshed(request) : await family.held(request))
      return held.entry.bodies[0]?.bytes ?? new Uint8Array()
    })
  }

  /**
   * By the first who asked. If its thread ends, by one more: it may have ended
   * over something else, but if that one ends as well it was the fetch.
   */
  async #fetch (key: string, first: Asker, { hasOld, signal }: FetchAttempt): Promise<Fetched> {
    try {
      return await first.fetch(hasOld, signal)
    } catch (error) {
      if (!(error instanceof ThreadEnded)) throw error
      // What was rendered beside the one that ended it is rendered again, and asks again.
      const second = this.#askers.other(key) ?? (error.isSure ? undefined : await this.#askers.next(key, signal))
      if (second === undefined) throw new WorkerDied(key, error.message)
      return await second.fetch(hasOld, signal).catch((again: Error) => { throw again instanceof ThreadEnded ? new WorkerDied(key, again.message) : again })
    }
  }

  async #visit ({ method, url, headers }: Extract<Question, { type: 'visit' }>): Promise<Visited> {
    const answer = await this.#options.app.inject({ method: method as NonNullable<InjectOptions['method']>, url, headers: { ...headers } })
    return { status: answer.statusCode, headers: answer.headers as Visited['headers'], body: answer.rawPayload }
  }
}
