import type { Argument, Link, LinkListener, Script } from '../../lib/cluster/link.js'
import type { Random } from './random.js'
import { asText, ReplyError, SimulatedRedis, type Reply } from './redis.js'
import type { VirtualTime } from './virtual-time.js'

export interface NetworkOptions {
  time: VirtualTime
  random: Random
  /** Milliseconds, one way: at least, and on average more than that. */
  latency: { least: number, more: number }
  /** Part of what is published that one subscriber does not hear. */
  loss: number
  /** A script has run: after its effects, before its reply. */
  onRun: (script: Script, keys: readonly string[], args: readonly Argument[], reply: Reply, link: SimulatedLink) => void
}

/** One Redis, and the ways to it. */
export class SimulatedNetwork {
  readonly redis: SimulatedRedis
  readonly options: NetworkOptions
  /** Messages that reached a subscriber. */
  delivered = 0
  lost = 0
  readonly #subscribers = new Map<string, Set<SimulatedLink>>()

  constructor (options: NetworkOptions) {
    this.options = options
    this.redis = new SimulatedRedis(() => options.time.now, (channel, text) => {
      const subscribers = this.#subscribers.get(channel) ?? new Set()
      for (const link of subscribers) {
        if (options.random.next() < options.loss) this.lost++
        else link.deliver(channel, text)
      }
      return subscribers.size
    })
  }

  connect (): SimulatedLink {
    return new SimulatedLink(this)
  }

  latency (): number {
    const { random, latency } = this.options
    return latency.least - Math.log(1 - random.next()) * latency.more
  }

  subscribe (channel: string, link: SimulatedLink): void {
    const subscribers = this.#subscribers.get(channel) ?? new Set()
    this.#subscribers.set(channel, subscribers.add(link))
  }
}

/** The connections of one instance: what is sent on one arrives late, and in order. */
export class SimulatedLink implements Link {
  readonly isUp = true
  readonly keyPrefix = ''
  commands = 0
  readonly #network: SimulatedNetwork
  #listener: LinkListener | null = null
  readonly #arrival = { request: 0, reply: 0, message: 0 }

  constructor (network: SimulatedNetwork) {
    this.#network = network
  }

  async start (channels: readonly string[], listener: LinkListener): Promise<void> {
    this.#listener = listener
    for (const channel of channels) this.#network.subscribe(channel, this)
    listener.subscribed()
    listener.up()
  }

  async run (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    const reply = await this.#ask(script, keys, args)
    return asText(reply)
  }

  async runBuffer (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    const reply = await this.#ask(script, keys, args)
    return typeof reply === 'string' ? Buffer.from(reply, 'latin1') : reply
  }

  resubscribe (): void {
    this.#listener?.subscribed()
  }

  async close (): Promise<void> {
    this.#listener = null
  }

  deliver (channel: string, text: string): void {
    this.#send('message', () => {
      this.#network.delivered++
      this.#listener?.message(channel, text)
    })
  }

  #ask (script: Script, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    this.commands++
    const { redis, options } = this.#network
    return new Promise((resolve, reject) => {
      this.#send('request', () => {
        try {
          const reply = redis.run(script, keys, args)
          options.onRun(script, keys, args, reply, this)
          this.#send('reply', () => { resolve(reply) })
        } catch (error) {
          if (!(error instanceof ReplyError)) throw error
          this.#send('reply', () => { reject(error) })
        }
      })
    })
  }

  #send (way: 'request' | 'reply' | 'message', arrive: () => void): void {
    const { time } = this.#network.options
    this.#arrival[way] = Math.max(this.#arrival[way], time.now + this.#network.latency())
    time.at(this.#arrival[way], arrive)
  }
}
