import { dataKey, readDataPolicy, type DataFamily, type DataSettings, type DataStore } from '../data/data-cache.js'
import type { DataRequest } from '../data/source.js'
import { decodeValue } from '../data/value.js'
import type { OrderResult } from '../../types/index.js'
import type { MainPort } from './main-port.js'

/** In a worker thread: data are the main thread's, which decides who fetches, and when. */
export class RemoteData implements DataStore {
  readonly #main: MainPort
  readonly #names = new Set<string>()

  constructor (main: MainPort) {
    this.#main = main
  }

  define (where: string, name: unknown, settings: DataSettings, others: readonly string[]): DataFamily {
    const { policy } = readDataPolicy(where, name, settings, others, this.#names)
    this.#names.add(policy.name)
    return new RemoteFamily(this.#main, policy.name)
  }
}

class RemoteFamily implements DataFamily {
  readonly #main: MainPort
  readonly #name: string

  constructor (main: MainPort, name: string) {
    this.#main = main
    this.#name = name
  }

  keyOf (value: unknown): string {
    return dataKey(this.#name, value)
  }

  fresh (): undefined {
    return undefined
  }

  async get (request: DataRequest): Promise<unknown> {
    return await this.#ask(request, false)
  }

  async refresh (request: DataRequest): Promise<unknown> {
    return await this.#ask(request, true)
  }

  async order (kind: 'soft' | 'hard', key: string): Promise<OrderResult> {
    return await this.#main.ask({ type: 'order', kind, key }) as OrderResult
  }

  async #ask (request: DataRequest, isRefresh: boolean): Promise<unknown> {
    const { key, tags } = request
    return decodeValue(await this.#main.ask({ type: 'data', name: this.#name, key, tags, isRefresh }, request) as Uint8Array)
  }
}
