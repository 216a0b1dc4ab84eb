import { RedisUnavailable } from '../errors.js'
import { Breaker, type Pass } from './breaker.js'
import { keySlot } from './key-slot.js'
import type { Argument, Link, LinkListener, Script } from './link.js'
import { RedisConnection, reset } from './redis-connection.js'
import { clusterOptions, isCluster, isDiscovering, nodeOptions, type RedisCluster, type RedisNode, type RedisTemplate } from './redis-template.js'

export type { RedisTemplate } from './redis-template.js'

/** Bytes. Nothing that is published is larger. */
const MOST_MESSAGE = 8192
/** Replies that say that the server can't do anything at the moment. */
const UNABLE = /^(?:LOADING|MASTERDOWN|CLUSTERDOWN|BUSY) /

/** Answers to a PING that say nothing against other commands. */
const DENIED = /^(?:NOPERM|MISCONF) /

export interface RedisLinkOptions {
  /** Says how to connect; never used itself. */
  client: RedisTemplate
  /** Milliseconds. */
  commandTimeout: number
  /** The key that everything depends on: in a Redis Cluster the link is up when the node that has it is. */
  home?: string
  random?: () => number
  /** What else goes wrong: a channel that may not be listened to. */
  onTrouble?: (error: Error) => void
}

type Client = RedisNode | RedisCluster
type Send = (client: Client, command: string, args: Argument[]) => Promise<unknown>

const SEND: Send = (client, command, args) => client.call(command, args)
const SEND_BUFFER: Send = (client, command, args) => client.callBuffer(command, args)

class Late extends Error {}

/** {@link Link} over clients of ioredis or iovalkey. */
export class RedisLink implements Link {
  readonly keyPrefix: string
  readonly #timeout: number
  readonly #onTrouble: (error: Error) => void
  readonly #random: () => number
  /** Per node of a cluster: one that hangs must not hold up those who ask others. */
  readonly #breakers = new Map<string, Breaker>()
  readonly #home: number
  readonly #commands: RedisConnection<Client>
  readonly #subscriber: RedisConnection<RedisNode>
  readonly #isCluster: boolean
  #channels: readonly string[] = []
  #listener: LinkListener | null = null
  #sent = 0
  #isClosed = false
  /** What the listener was told last. */
  #told: 'up' | 'down' | null = null
  /** The last thing that went wrong. */
  #cause: Error | null = null
  #hasToldTrouble = false
  /** Set while somebody waits for the start. */
  #onProgress: () => void = () => {}

  constructor ({ client: template, commandTimeout, home = '', random = Math.random, onTrouble = () => {} }: RedisLinkOptions) {
    this.keyPrefix = template.options.keyPrefix ?? ''
    this.#timeout = commandTimeout
    this.#onTrouble = onTrouble
    this.#random = random
    this.#home = keySlot(this.keyPrefix + home)
    this.#isCluster = isCluster(template)
    const readyTimeout = 2 * commandTimeout
    this.#commands = new RedisConnection<Client>({
      make: () => isCluster(template) ? duplicateCluster(template, commandTimeout) : template.duplicate(nodeOptions(template, commandTimeout)),
      prepare: client => this.#prepareCommands(client),
      readyTimeout,
      isDiscovering: isDiscovering(template),
      random,
      onReady: () => {
        // In a cluster it needs to know a node.
        this.#subscriber.start()
        this.#tell()
      },
      onLost: (error, wasReady) => {
        this.#cause = error
        // Counted once, and not for each command.
        if (wasReady && !this.#isCluster) this.#breaker('').fail()
        this.#tell()
      }
    })
    this.#subscriber = new RedisConnection<RedisNode>({
      make: () => isCluster(template) ? this.#duplicateNode() : template.duplicate(nodeOptions(template, commandTimeout)),
      prepare: client => this.#subscribe(client),
      readyTimeout,
      isDiscovering: !this.#isCluster && isDiscovering(template),
      random,
      onReady: () => {
        this.#hasToldTrouble = false
        this.#listener?.subscribed()
        this.#onProgress()
      },
      onLost: () => {}
    })
  }

  get isUp (): boolean {
    const client = this.#commands.client
    return client !== null && this.#breaker(nodeOf(client, this.#home)).isClosed
  }

  get commands (): number {
    return this.#sent
  }

  async start (channels: readonly string[], listener: LinkListener): Promise<void> {
    this.#channels = channels
    this.#listener = listener
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      timer = setTimeout(resolve, 2 * this.#timeout)
      this.#onProgress = () => { if (this.#isClosed || (this.isUp && this.#subscriber.client !== null)) resolve() }
      this.#commands.start()
      if (!this.#isCluster) this.#subscriber.start()
    })
    clearTimeout(timer)
    this.#onProgress = () => {}
    this.#tell()
  }

  run (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    return this.#run(SEND, script, keys, args)
  }

  runBuffer (script: Script, keys: readonly string[], args: readonly Argument[] = []): Promise<unknown> {
    return this.#run(SEND_BUFFER, script, keys, args)
  }

  resubscribe (): void {
    const client = this.#subscriber.client
    if (client !== null) reset(client.stream)
    this.#subscriber.replace(new Error('nothing is heard'))
  }

  async close (): Promise<void> {
    this.#isClosed = true
    this.#listener = null
    this.#onProgress()
    await Promise.all([this.#commands.close(this.#timeout), this.#subscriber.close(this.#timeout)])
  }

  async #run (send: Send, script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const client = this.#commands.client
    if (client === null) throw this.#unavailable(this.#isClosed ? 'the connection was closed' : 'not connected')
    const node = this.#isCluster ? nodeOf(client, keySlot(this.keyPrefix + (keys[0] ?? ''))) : ''
    const breaker = this.#breaker(node)
    const pass = breaker.enter()
    if (pass === null) throw this.#unavailable('given up for a moment')
    try {
      const reply = await this.#within(isOver => this.#evaluate(client, send, script, [keys.length, ...keys, ...args], isOver))
      breaker.succeed(pass)
      return reply
    } catch (error) {
      if (isAnswer(error)) {
        breaker.succeed(pass)
        throw error
      }
      this.#fail(client, node, pass, error as Error)
      throw this.#unavailable(null, error as Error)
    } finally {
      this.#tell()
    }
  }

  async #evaluate (client: Client, send: Send, { sha, lua }: Script, args: Argument[], isOver: () => boolean): Promise<unknown> {
    try {
      this.#sent++
      return await send(client, 'evalsha', [sha, ...args])
    } catch (error) {
      // Nobody waits for it any more: it must not be done, either.
      if (!isReply(error) || !error.message.startsWith('NOSCRIPT') || isOver()) throw error
      this.#sent++
      return await send(client, 'eval', [lua, ...args])
    }
  }

  #fail (client: Client, node: string, pass: Pass, error: Error): void {
    this.#cause = error
    if (isCluster(client)) {
      const hasOpened = this.#breaker(node).fail(pass)
      if (!(error instanceof Late)) return
      for (const each of client.nodes('all')) {
        // It connects to the node again when it is asked the next time, or to who has taken over.
        // What waits for a node that is not connected must not be sent later.
        if (isNode(each, node) && (hasOpened || each.status !== 'ready')) reset(each.stream)
      }
    } else if (error instanceof Late || isReply(error)) {
      // A connection that lost its other end says nothing: a new one must be made.
      if (this.#breaker(node).fail(pass) && error instanceof Late) {
        reset(client.stream)
        this.#commands.replace(error)
      }
    } else {
      this.#commands.lose(client, error)
    }
  }

  #breaker (node: string): Breaker {
    let breaker = this.#breakers.get(node)
    if (breaker === undefined) {
      breaker = new Breaker(() => performance.now(), this.#random)
      this.#breakers.set(node, breaker)
    }
    return breaker
  }

  /** Whatever a client does, nobody waits longer. */
  #within<T> (work: (isOver: () => boolean) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isOver = false
      let verdict: NodeJS.Immediate | undefined
      const timer = setTimeout(() => {
        // When the event loop was held up, the answer is there and comes before this.
        verdict = setImmediate(() => {
          isOver = true
          reject(new Late(`no answer within ${this.#timeout} ms`))
        })
      }, this.#timeout)
      const end = (): void => {
        clearTimeout(timer)
        if (verdict !== undefined) clearImmediate(verdict)
      }
      work(() => isOver).finally(end).then(resolve, reject)
    })
  }

  /** Only who answers is there: the system accepts connections for a server that hangs. */
  async #prepareCommands (client: Client): Promise<void> {
    if (!isCluster(client)) {
      await this.#within(() => ping(client))
      return
    }
    // A node is connected by its first command: a visitor must not have to wait for that.
    client.on('+node', (node: RedisNode) => { if (client.status === 'ready') ping(node).catch(() => {}) })
    const pings = client.nodes('master').map(node => this.#within(() => ping(node)))
    await Promise.allSettled(pings)
    await Promise.any(pings)
  }

  async #subscribe (client: RedisNode): Promise<void> {
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (!this.#subscriber.isCurrent(client) || message.length > MOST_MESSAGE) return
      this.#listener?.message(channel.toString(), message.toString())
    })
    try {
      await this.#within(() => client.subscribe(...this.#channels))
    } catch (error) {
      if (isAnswer(error) && !this.#hasToldTrouble) {
        this.#hasToldTrouble = true
        this.#onTrouble(error)
      }
      throw error
    }
  }

  /** Any node hears what is published at any other. */
  #duplicateNode (): RedisNode {
    const cluster = this.#commands.client
    const nodes = cluster !== null && isCluster(cluster) ? cluster.nodes('master') : []
    const node = nodes[Math.floor(Math.random() * nodes.length)]
    if (node === undefined) throw new Error('no node of the cluster is known')
    return node.duplicate(nodeOptions(node, this.#timeout))
  }

  #tell (): void {
    this.#onProgress()
    if (this.isUp === (this.#told === 'up') && this.#told !== null) return
    this.#told = this.isUp ? 'up' : 'down'
    if (this.isUp) this.#listener?.up()
    else this.#listener?.down(this.#unavailable(null))
  }

  #unavailable (reason: string | null, cause = this.#cause): Error {
    return new RedisUnavailable([reason, cause?.message ?? (reason === null ? 'not connected' : null)].filter(Boolean).join(': '), { cause })
  }
}

function duplicateCluster (template: RedisCluster & { options: object }, commandTimeout: number): RedisCluster {
  return template.duplicate([], clusterOptions(template, commandTimeout))
}

function nodeOf (client: Client, slot: number): string {
  return isCluster(client) ? client.slots[slot]?.[0] ?? '' : ''
}

function isNode ({ options: { host, port } }: RedisNode, name: string): boolean {
  return `${host}:${port}` === name
}

async function ping (client: Client): Promise<void> {
  try {
    await client.call('ping', [])
  } catch (error) {
    if (!isReply(error) || !DENIED.test(error.message)) throw error
  }
}

function isReply (error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/** Of a server that could do it if it wanted. */
function isAnswer (error: unknown): error is Error {
  return isReply(error) && !UNABLE.test(error.message)
}
