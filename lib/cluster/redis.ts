import { randomBytes } from 'node:crypto'
import type { Coordinator, Lease, Listener, Mark, Moment, Order, Ordered, Turn, TurnRequest } from './coordinator.js'
import { ClusterClock } from './cluster-clock.js'
import { Hearing } from './hearing.js'
import type { Link } from './link.js'
import { MOST_EPOCH, parseMessage, type Message } from './messages.js'
import { OrderQueue } from './order-queue.js'
import { RedisLeases } from './redis-leases.js'
import { RedisMarks, type Past } from './redis-marks.js'

export interface RedisCoordinatorOptions {
  link: Link
  /** Everybody with the same prefix hears of the same orders. */
  prefix: string
  /** Milliseconds. */
  heartbeat: number
  leaseTtl: number
  /** Milliseconds of wall-clock time, as this machine has it. */
  clock: () => number
  /** Nothing is written: a build only looks up where logical time is. */
  isReadOnly?: boolean
  /** Marks kept; beyond it the oldest are forgotten. */
  maxMarks?: number
  onConnected: () => void
  /** Once per outage. */
  onDisconnected: (error: Error) => void
  /** Redis takes no orders although it answers; once until it does. */
  onRefused?: (error: Error) => void
  /** Who renders was decided. */
  onTurn?: (event: { key: string, outcome: Turn['kind'] | 'alone', durationMs: number }) => void
}

/** Orders of this instance that Redis has not heard of split one epoch into so many. */
const GENERATIONS = 65_536
/** Orders delivered at once when Redis is back. */
const BATCH = 500
/** A look at Redis is good for so many heartbeats. */
const MOST_BEATS_LATE = 2.5
/** Orders that may have been missed: somebody who tells of a later one is not believed unless Redis says so, too. */
const MOST_GAP = 1_000_000

/**
 * Many instances, one Redis. Logical time is a counter there; pub/sub makes
 * orders fast, the heartbeat makes them certain. Between two epochs this
 * instance counts the orders that Redis could not be told.
 */
export class RedisCoordinator implements Coordinator {
  readonly #options: RedisCoordinatorOptions
  readonly #id = randomBytes(6).toString('hex')
  readonly #channel: string
  readonly #ownChannel: string
  readonly #marks: RedisMarks
  readonly #leases: RedisLeases
  readonly #queue = new OrderQueue()
  readonly #every: number
  #listener: Listener | null = null
  #incarnation: string | undefined
  /** The highest epoch heard of. */
  #seen = 0
  #generation = 0
  /** Every order up to here was delivered; by which it is known. */
  #applied = { epoch: 0, id: '' }
  #isListening = false
  #isCaughtUp = false
  #isConnected = false
  /** By then another look at Redis is due. */
  #trustedUntil = 0
  /** Whether anybody was told so or otherwise. */
  #hasTold = false
  readonly #hearing: Hearing
  #beating: Promise<boolean> | null = null
  #isBehind = false
  #timer: NodeJS.Timeout | undefined
  /** The last thing that went wrong. */
  #cause: Error | null = null
  /** Redis answers, and takes no orders. */
  #isRefused = false
  #isStarted = false
  #isClosed = false
  readonly #clock: ClusterClock

  constructor (options: RedisCoordinatorOptions) {
    const { link, prefix, heartbeat, leaseTtl, clock, maxMarks } = options
    this.#options = options
    this.#clock = new ClusterClock(clock)
    this.#hearing = new Hearing(heartbeat)
    // Clients put their prefix before keys, not before channels.
    this.#channel = `${link.keyPrefix}{${prefix}}:events`
    this.#ownChannel = `${this.#channel}:${this.#id}`
    const common = { link, prefix, channel: this.#channel, source: this.#id }
    this.#marks = new RedisMarks({ ...common, clock: () => this.#clock.now(), ...(maxMarks === undefined ? {} : { most: maxMarks }) })
    this.#leases = new RedisLeases({
      ...common,
      leaseTtl,
      now: () => this.now(),
      onIncarnation: () => this.#beat(),
      onEpoch: ({ epoch }) => { this.#see(epoch) }
    })
    // Not at the same moment as all others that were started with it.
    this.#every = heartbeat * (1 + Math.random() * 0.1)
  }

  get isDisconnected (): boolean {
    // Of a process that stood still, nobody knows what it has missed.
    return !this.#isConnected || performance.now() > this.#trustedUntil
  }

  /** Milliseconds; the same on all machines that share a Redis. */
  get clock (): () => number {
    return () => this.#clock.now()
  }

  /** What an operator wants to know. */
  get facts (): { incarnation: string | null, epoch: number, lag: number, queued: number } {
    return { incarnation: this.#incarnation ?? null, epoch: this.#seen, lag: Math.max(0, this.#seen - this.#applied.epoch), queued: this.#queue.size }
  }

  now (): Moment {
    return { epoch: this.#seen + this.#generation / GENERATIONS, incarnation: this.#incarnation }
  }

  observe ({ epoch, incarnation }: Moment): void {
    // A Redis that is behind it was restored from an older copy: the next heartbeat says so.
    if (incarnation !== undefined && incarnation === this.#incarnation && epoch < MOST_EPOCH) this.#see(Math.floor(epoch))
  }

  async order (orders: readonly Order[]): Promise<Ordered> {
    // Applied before anything is awaited: from here on no older page is served.
    this.#deliverLocally(orders)
    const [seen, incarnation] = [this.#seen, this.#incarnation]
    const epoch = await this.#give(orders)
    if (epoch === null) {
      this.#queue.add(orders)
      // Others may have rendered in the meantime, without knowing of it.
      if (this.#seen !== seen || this.#incarnation !== incarnation) this.#deliverLocally(orders)
      return { epoch: null, degraded: true }
    }
    return { epoch, degraded: false }
  }

  turn (request: TurnRequest): Turn | Promise<Turn> {
    if (this.#options.isReadOnly === true || !this.#options.link.isUp) return { kind: 'granted', start: this.now(), failures: 0, lease: null }
    return this.#turn(request)
  }

  async #turn (request: TurnRequest): Promise<Turn> {
    const startedAt = performance.now()
    const turn = await this.#leases.turn(request)
    const outcome = turn.kind === 'granted' && turn.lease === null ? 'alone' : turn.kind
    this.#options.onTurn?.({ key: request.key, outcome, durationMs: performance.now() - startedAt })
    return turn
  }

  /** Leases that this instance had. */
  get granted (): number {
    return this.#leases.granted
  }

  async ended (key: string, buildId: string, ms: number, signal: AbortSignal): Promise<void> {
    await this.#leases.ended(buildId, key, ms, signal)
  }

  /** The right to do something once per namespace, for all instances. */
  async claim (buildId: string, what: string): Promise<Lease | null> {
    return this.#options.isReadOnly === true ? null : await this.#leases.claim(buildId, what)
  }

  async start (listener: Listener): Promise<void> {
    this.#listener = listener
    this.#remind()
    const { link } = this.#options
    await link.start([this.#channel, this.#ownChannel], {
      message: (channel, text) => { this.#hear(channel, text) },
      subscribed: () => {
        this.#isListening = true
        this.#hearing.reset()
        // What was said in between may be lost.
        void this.#catchUp()
      },
      up: () => { void this.#beat() },
      down: (error) => { this.#lose(error) }
    })
    await this.#beat()
    this.#isStarted = true
    this.#tell(null)
    this.#timer = setInterval(() => { void this.#beat() }, this.#every)
    this.#timer.unref()
  }

  async catchUp (): Promise<void> {
    await this.#beat()
  }

  async close (): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    this.#leases.wakeAll()
    await this.#beating
    await this.#options.link.close()
  }

  /** Gives orders to Redis; null when they can't be given. */
  async #give (orders: readonly Order[]): Promise<number | null> {
    if (!this.#options.link.isUp || this.#options.isReadOnly === true) return null
    const given = await this.#tryToGive(orders)
    if (given !== 'incarnation') return given
    // Another life of Redis began: once more, in that one.
    const again = await this.#beat() ? await this.#tryToGive(orders) : null
    return again === 'incarnation' ? null : again
  }

  async #tryToGive (orders: readonly Order[]): Promise<number | null | 'incarnation'> {
    const incarnation = this.#incarnation
    if (incarnation === undefined) return 'incarnation'
    const id = this.#newId()
    try {
      const epoch = await this.#marks.order(incarnation, id, orders)
      if (epoch === null) return 'incarnation'
      this.#isRefused = false
      // Given to a life of Redis that is over by now, and may be forgotten.
      if (this.#incarnation !== incarnation) return 'incarnation'
      // First: what waits counts as newer than all that Redis has counted.
      this.#queue.remove(orders)
      this.#advance(epoch, id, orders.map(order => ({ ...order, epoch, incarnation })))
      return epoch
    } catch (error) {
      // As long as nobody can be asked, that was said already.
      if (this.#isConnected && !this.#isRefused) this.#options.onRefused?.(error as Error)
      this.#isRefused = true
      return null
    }
  }

  /** In this process they hold at once, whoever has heard of them. */
  #deliverLocally (orders: readonly Order[]): void {
    // At the end of the scale nothing is fresh any more until Redis is back.
    this.#generation = Math.min(this.#generation + 1, GENERATIONS - 2)
    const epoch = this.#seen + (this.#generation === GENERATIONS - 2 ? GENERATIONS - 1 : this.#generation) / GENERATIONS
    for (const order of orders) this.#listener?.mark({ ...order, epoch, incarnation: this.#incarnation })
  }

  #hear (channel: string, text: string): void {
    if (channel === this.#ownChannel) {
      this.#hearing.hear(Number(text))
      return
    }
    const message = parseMessage(text)
    if (message === null) return
    if (message.incarnation !== this.#incarnation) {
      void this.#beat()
      return
    }
    if (message.type === 'marks') return this.#hearMarks(message)
    this.#leases.wake(message.buildId, message.key)
    if (message.source === this.#id) return
    if (message.type === 'refreshed') this.#listener?.refreshed(message.key, message.buildId, message.version)
    if (message.type === 'dropped') this.#listener?.dropped(message.key, message.buildId, message.version)
  }

  #hearMarks ({ epoch, id, marks }: Extract<Message, { type: 'marks' }>): void {
    if (epoch > this.#seen + MOST_GAP) void this.#catchUp()
    else if (marks === null) {
      this.#see(epoch)
      void this.#catchUp()
    } else this.#advance(epoch, id, marks)
  }

  /** An order has been counted: by this instance, or another that has told of it. */
  #advance (epoch: number, id: string, marks: readonly Mark[]): void {
    for (const mark of marks) this.#listener?.mark(mark)
    const isNext = epoch === this.#applied.epoch + 1
    if (isNext) this.#applied = { epoch, id: `${epoch}:${id}` }
    this.#see(epoch)
    // Something in between was not heard of.
    if (epoch > this.#applied.epoch) void this.#catchUp()
  }

  #see (epoch: number): void {
    if (epoch <= this.#seen) return
    this.#seen = epoch
    this.#generation = 0
    this.#remind()
  }

  /** What Redis has not been told yet is newer than all it has told. */
  #remind (): void {
    const orders = this.#queue.peek(Infinity)
    if (orders.length > 0) this.#deliverLocally(orders)
  }

  /** Looks where logical time is; resolves with whether Redis could be asked and all it says is known here. */
  #beat (): Promise<boolean> {
    this.#beating ??= this.#beatOnce().finally(() => { this.#beating = null })
    return this.#beating
  }

  async #beatOnce (): Promise<boolean> {
    if (this.#isClosed) return false
    const { clock, isReadOnly = false } = this.#options
    const beat = this.#hearing.next()
    const before = clock()
    try {
      const { incarnation, epoch, time } = await this.#marks.beat({
        fresh: isReadOnly ? '' : randomBytes(8).toString('hex'),
        known: this.#incarnation ?? '',
        seen: Math.floor(this.#seen),
        id: this.#applied.id,
        channel: isReadOnly ? '' : this.#ownChannel,
        beat
      })
      if (!isReadOnly) this.#doubtSilence(beat)
      this.#clock.measure(time, before, clock())
      this.#trustedUntil = performance.now() + this.#every * MOST_BEATS_LATE
      // An empty Redis, which only a server may put in order.
      if (incarnation === '') {
        this.#isCaughtUp = true
        this.#tell(null)
        return false
      }
      if (incarnation !== this.#incarnation) await this.#adopt(incarnation)
      else if (epoch > this.#applied.epoch) await this.#lookUp()
      this.#isCaughtUp = true
      await this.#deliverQueued()
      this.#tell(null)
      return true
    } catch (error) {
      this.#lose(error as Error)
      return false
    }
  }

  #doubtSilence (beat: number): void {
    if (!this.#isListening || !this.#hearing.isLost(beat)) return
    this.#isListening = false
    this.#tell(new Error('nothing is heard of what is published'))
    this.#options.link.resubscribe()
  }

  async #catchUp (): Promise<void> {
    this.#isBehind = true
    // One after another; whoever comes while it runs makes it run once more.
    await this.#beat()
    if (this.#isBehind && !this.#isClosed) {
      this.#isBehind = false
      if (this.#seen > this.#applied.epoch) await this.#beat()
    }
  }

  /** Orders that were not heard of. */
  async #lookUp (): Promise<void> {
    const incarnation = this.#incarnation
    this.#isBehind = false
    const past = await this.#marks.since(this.#applied.epoch)
    if (past.incarnation === incarnation && this.#incarnation === incarnation) this.#apply(past)
  }

  #apply ({ epoch, id, marks, floors }: Past): void {
    for (const floor of floors) this.#listener?.floor(floor)
    for (const mark of marks) this.#listener?.mark(mark)
    if (epoch >= this.#applied.epoch) this.#applied = { epoch, id: id.startsWith(`${epoch}:`) ? id : '' }
    this.#see(epoch)
  }

  /** Another life of Redis: what it has forgotten is written back before anything is made of it. */
  async #adopt (incarnation: string): Promise<void> {
    const { isReadOnly = false } = this.#options
    const held = [...this.#listener?.marks() ?? []].filter(mark => mark.incarnation !== undefined && mark.incarnation !== incarnation)
    if (!isReadOnly && held.length > 0) await this.#marks.writeBack(incarnation, this.#newId(), held)
    const past = await this.#marks.since(0)
    if (past.incarnation !== incarnation) throw new Error('Redis changes its incarnation again and again')
    this.#incarnation = incarnation
    this.#seen = 0
    this.#generation = 0
    this.#applied = { epoch: 0, id: '' }
    this.#listener?.begin(incarnation)
    this.#apply(past)
    this.#remind()
  }

  /** Orders that were given while nobody could be asked. */
  async #deliverQueued (): Promise<void> {
    if (this.#options.isReadOnly === true) return
    for (let orders = this.#queue.peek(BATCH); orders.length > 0; orders = this.#queue.peek(BATCH)) {
      const given = await this.#tryToGive(orders)
      // The next heartbeat goes on.
      if (given === null || given === 'incarnation') return
    }
  }

  #lose (error: Error): void {
    this.#isCaughtUp = false
    this.#cause = error
    this.#tell(error)
  }

  #tell (error: Error | null): void {
    const isConnected = this.#options.link.isUp && this.#isListening && this.#isCaughtUp
    if (this.#isClosed || (this.#hasTold && isConnected === this.#isConnected)) return
    // At first it is only not connected yet.
    if (!isConnected && !this.#isStarted) return
    this.#hasTold = true
    this.#isConnected = isConnected
    if (isConnected) this.#options.onConnected()
    else {
      this.#leases.wakeAll()
      this.#options.onDisconnected(error ?? this.#cause ?? new Error('not connected yet'))
    }
  }

  #newId (): string {
    return randomBytes(8).toString('hex')
  }
}
