import { Socket } from 'node:net'
import type { RedisClient } from './redis-template.js'

/** Milliseconds between two tries to connect. */
const BACKOFF_FIRST = 50
const BACKOFF_MOST = 1000
/** Sentinels and nodes of a cluster are asked one after the other, each with a timeout of its own. */
const DISCOVERY_MOST = 30_000

export interface RedisConnectionOptions<Client extends RedisClient> {
  /** A client that is not connected yet. */
  make: () => Client
  /** Proves that it can be used. */
  prepare: (client: Client) => Promise<unknown>
  /** Milliseconds from being connected to being prepared. */
  readyTimeout: number
  /** Finds out by itself where the server is. */
  isDiscovering: boolean
  random: () => number
  onReady: (client: Client) => void
  onLost: (error: Error, wasReady: boolean) => void
}

/** A connection that is made anew whenever it is lost: by one new client each time. */
export class RedisConnection<Client extends RedisClient> {
  readonly #options: RedisConnectionOptions<Client>
  #current: Client | null = null
  #isReady = false
  #isClosed = false
  #failures = 0
  #retry: NodeJS.Timeout | undefined
  #watchdog: NodeJS.Timeout | undefined
  /** Clients that were let go and have not ended yet. */
  readonly #ending = new Map<Client, Promise<void>>()

  constructor (options: RedisConnectionOptions<Client>) {
    this.#options = options
  }

  /** Null unless it is ready. */
  get client (): Client | null {
    return this.#isReady ? this.#current : null
  }

  /** Whether it has not been let go. */
  isCurrent (client: Client): boolean {
    return client === this.#current
  }

  /** Connects now, unless it does already. */
  start (): void {
    if (this.#isClosed || this.#current !== null) return
    clearTimeout(this.#retry)
    let client: Client
    try {
      client = this.#options.make()
    } catch (error) {
      this.#lost(error as Error, false)
      return
    }
    this.#current = client
    void this.#connect(client)
  }

  /** Lets a client go that is of no use any more; what it was asked is not sent later. */
  lose (client: Client, error: Error): void {
    if (client !== this.#current) return
    const wasReady = this.#drop()
    this.#lost(error, wasReady)
  }

  /** Lets the present client go and connects at once. */
  replace (error: Error): void {
    if (this.#current !== null) {
      const wasReady = this.#drop()
      this.#options.onLost(error, wasReady)
    }
    this.start()
  }

  /** Resolves when nothing is left open, or after the time given. */
  async close (timeout: number): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#retry)
    this.#drop()
    if (this.#ending.size === 0) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => { timer = setTimeout(resolve, timeout) })
    await Promise.race([Promise.all(this.#ending.values()), late])
    clearTimeout(timer)
  }

  async #connect (client: Client): Promise<void> {
    const { readyTimeout, isDiscovering, prepare, onReady } = this.#options
    let cause: Error | null = null
    client.on('error', (error: Error) => { cause = error })
    const onEnd = (): void => { this.lose(client, cause ?? new Error('the connection was closed')) }
    client.on('close', onEnd)
    client.on('end', onEnd)
    client.on('connect', () => { this.#watch(client, readyTimeout) })
    this.#watch(client, isDiscovering ? DISCOVERY_MOST : readyTimeout)
    try {
      await client.connect()
      await prepare(client)
    } catch (error) {
      // The promise says only that it was closed, the event before it why.
      this.lose(client, cause ?? error as Error)
      return
    }
    if (client !== this.#current) return
    clearTimeout(this.#watchdog)
    this.#isReady = true
    this.#failures = 0
    onReady(client)
  }

  #watch (client: Client, timeout: number): void {
    if (client !== this.#current || this.#isReady) return
    clearTimeout(this.#watchdog)
    this.#watchdog = setTimeout(() => { this.lose(client, new Error(`not connected within ${timeout} ms`)) }, timeout)
    this.#watchdog.unref()
  }

  #lost (error: Error, wasReady: boolean): void {
    this.#options.onLost(error, wasReady)
    if (this.#isClosed || this.#current !== null) return
    const step = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** this.#failures++)
    clearTimeout(this.#retry)
    // Half of the step is jitter, so that instances don't come back together.
    this.#retry = setTimeout(() => { this.start() }, step * (0.5 + this.#options.random() / 2))
    this.#retry.unref()
  }

  /** Returns whether the client was ready. */
  #drop (): boolean {
    const client = this.#current
    const wasReady = this.#isReady
    this.#current = null
    this.#isReady = false
    clearTimeout(this.#watchdog)
    if (client === null || client.status === 'end') return wasReady
    this.#ending.set(client, new Promise(resolve => {
      client.on('end', () => {
        this.#ending.delete(client)
        resolve()
      })
    }))
    // One that is let go while it connects may not notice.
    client.on('ready', () => { client.disconnect() })
    client.disconnect()
    return wasReady
  }
}

/** Without the farewell that would be sent after everything else that is still to be sent. */
export function reset (stream: unknown): void {
  if (!(stream instanceof Socket) || stream.destroyed) return
  try {
    stream.resetAndDestroy()
  } catch {
    // TLS, or a Unix socket.
    stream.destroy()
  }
}
