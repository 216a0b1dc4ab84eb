// A network that fails on demand, between a client and a server that know nothing of it.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { lastingPort, type Test } from './guarded.js'

export type Direction = 'toServer' | 'toClient'
export type ProxyTarget = { readonly port: number, readonly host?: string } | { readonly path: string }

const DIRECTIONS: readonly Direction[] = ['toServer', 'toClient']

export interface ProxyCounts {
  /** Accepted since start. */
  readonly connections: number
  /** Accepted and not over. */
  readonly open: number
  /** Delivered, since start. */
  readonly bytes: Readonly<Record<Direction, number>>
  /** Swallowed, since start. */
  readonly lost: Readonly<Record<Direction, number>>
}

export interface Proxy {
  readonly host: string
  readonly port: number
  readonly counts: ProxyCounts
  /** Milliseconds that every byte is under way from now on; `Infinity` holds it back until `heal`, as TCP does in a partition that it survives. */
  delay (ms: number, direction?: Direction): void
  /** Destroys all connections and refuses new ones. */
  cut (): Promise<void>
  /** Destroys all connections; new ones are welcome. */
  reset (): void
  /** Half-open: connections stay, new ones are accepted, and no byte or end gets through either way. */
  blackhole (): void
  /** The same in one direction only; new connections are made. */
  drop (direction: Direction): void
  /**
   * Ends all faults and delivers what was held back. A connection that lost something can't go on
   * as if nothing were missing: it is destroyed. With `forget` all connections stay silent for ever
   * instead, as behind a router that has forgotten them: neither side is told.
   */
  heal (options?: { forget?: boolean }): Promise<void>
  /** What teardown does. */
  close (): Promise<void>
}

type Load = Buffer | 'end' | 'reset'

interface Parcel {
  readonly due: number
  readonly load: Load
}

/** The faults of one direction, shared by all connections. */
interface Weather {
  delay: number
  isDropping: boolean
}

function destroy (socket: Socket): void {
  if (socket.destroyed) return
  // A Unix socket, or one that is not connected yet, can't be reset; one that is being shut down would
  // neither be reset nor closed, and would keep the process from ending.
  if (socket.connecting || socket.remoteFamily === undefined || socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

/** One direction of one connection: bytes keep their order whatever the delay does. */
class Flow {
  hasLost = false
  readonly #weather: Weather
  readonly #count: (bytes: number, isLost: boolean) => void
  readonly #to: Socket
  #parcels: Parcel[] = []
  #timer: NodeJS.Timeout | undefined

  constructor (to: Socket, weather: Weather, count: (bytes: number, isLost: boolean) => void) {
    this.#to = to
    this.#weather = weather
    this.#count = count
  }

  take (load: Load): void {
    if (this.#to.destroyed) return
    if (this.hasLost || this.#weather.isDropping) {
      this.#lose(load)
      return
    }
    this.#parcels.push({ due: performance.now() + this.#weather.delay, load })
    this.deliver()
  }

  /** Sends on what is due. */
  deliver (now = performance.now()): void {
    clearTimeout(this.#timer)
    let next: Parcel | undefined
    while ((next = this.#parcels[0]) !== undefined && next.due <= now) {
      this.#parcels.shift()
      // What is under way when the fault begins is lost as well.
      if (this.hasLost || this.#weather.isDropping) this.#lose(next.load)
      else this.#send(next.load)
    }
    if (next !== undefined && next.due !== Infinity) this.#timer = setTimeout(() => { this.deliver() }, next.due - now)
  }

  close (): void {
    clearTimeout(this.#timer)
    this.#parcels = []
  }

  #send (load: Load): void {
    if (this.#to.destroyed) return
    if (load === 'reset') destroy(this.#to)
    else if (load === 'end') this.#to.end()
    else if (!this.#to.writableEnded) {
      this.#count(load.length, false)
      this.#to.write(load)
    }
  }

  #lose (load: Load): void {
    this.hasLost = true
    if (typeof load !== 'string') this.#count(load.length, true)
  }
}

class Connection {
  readonly flows: Record<Direction, Flow>
  readonly #client: Socket
  readonly #server: Socket
  readonly #onClose: () => void

  constructor (client: Socket, server: Socket, makeFlow: (to: Socket, direction: Direction) => Flow, onClose: () => void) {
    this.#client = client
    this.#server = server
    this.#onClose = onClose
    this.flows = { toServer: makeFlow(server, 'toServer'), toClient: makeFlow(client, 'toClient') }
    this.#pass(client, this.flows.toServer)
    this.#pass(server, this.flows.toClient)
  }

  get hasLost (): boolean {
    return DIRECTIONS.some(direction => this.flows[direction].hasLost)
  }

  #pass (from: Socket, flow: Flow): void {
    from.setNoDelay(true)
    from.on('data', (bytes: Buffer) => { flow.take(bytes) })
    from.on('end', () => { flow.take('end') })
    from.on('error', () => {})
    from.on('close', () => {
      if (!from.readableEnded) flow.take('reset')
      if (this.#client.destroyed && this.#server.destroyed) this.close()
    })
  }

  close (): void {
    for (const direction of DIRECTIONS) this.flows[direction].close()
    destroy(this.#client)
    destroy(this.#server)
    this.#onClose()
  }

  forget (): void {
    for (const direction of DIRECTIONS) this.flows[direction].hasLost = true
  }
}

class TcpProxy implements Proxy {
  readonly host = '127.0.0.1'
  readonly port: number
  readonly counts = {
    connections: 0,
    open: 0,
    bytes: { toServer: 0, toClient: 0 },
    lost: { toServer: 0, toClient: 0 }
  }

  readonly #target: ProxyTarget
  readonly #weather: Record<Direction, Weather> = { toServer: { delay: 0, isDropping: false }, toClient: { delay: 0, isDropping: false } }
  readonly #connections = new Set<Connection>()
  /** Accepted without anybody behind them. */
  readonly #unanswered = new Set<Socket>()
  #server: Server | null = null
  #isSilent = false

  constructor (port: number, target: ProxyTarget) {
    this.port = port
    this.#target = target
  }

  async listen (): Promise<void> {
    if (this.#server !== null) return
    const server = createServer({ allowHalfOpen: true }, client => { this.#accept(client) })
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, this.host, resolve)
    })
  }

  delay (ms: number, direction?: Direction): void {
    for (const each of direction === undefined ? DIRECTIONS : [direction]) this.#weather[each].delay = ms
  }

  async cut (): Promise<void> {
    await this.#refuse()
  }

  reset (): void {
    for (const connection of this.#connections) connection.close()
    for (const socket of this.#unanswered) destroy(socket)
  }

  blackhole (): void {
    this.#isSilent = true
    for (const direction of DIRECTIONS) this.drop(direction)
  }

  drop (direction: Direction): void {
    this.#weather[direction].isDropping = true
  }

  async heal ({ forget = false }: { forget?: boolean } = {}): Promise<void> {
    this.#isSilent = false
    for (const connection of this.#connections) {
      if (forget) connection.forget()
      else if (connection.hasLost) connection.close()
    }
    for (const direction of DIRECTIONS) {
      this.#weather[direction].delay = 0
      this.#weather[direction].isDropping = false
      for (const connection of this.#connections) connection.flows[direction].deliver(Infinity)
    }
    if (!forget) for (const socket of this.#unanswered) destroy(socket)
    await this.listen()
  }

  async close (): Promise<void> {
    await this.#refuse()
  }

  #accept (client: Socket): void {
    this.counts.connections++
    this.counts.open++
    client.once('close', () => { this.counts.open-- })
    if (this.#isSilent) {
      this.#unanswered.add(client)
      client.on('data', (bytes: Buffer) => { this.counts.lost.toServer += bytes.length })
      client.on('error', () => {})
      client.once('close', () => { this.#unanswered.delete(client) })
      return
    }
    const server = connect({ ...this.#target, allowHalfOpen: true })
    const makeFlow = (to: Socket, direction: Direction): Flow => new Flow(to, this.#weather[direction], (bytes, isLost) => {
      this.counts[isLost ? 'lost' : 'bytes'][direction] += bytes
    })
    const connection = new Connection(client, server, makeFlow, () => { this.#connections.delete(connection) })
    this.#connections.add(connection)
  }

  async #refuse (): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = new Promise(resolve => { server.close(resolve) })
    this.reset()
    await closed
  }
}

/** Starts a way to `target` that can be disturbed while it is used. */
export async function startProxy (t: Test | undefined, target: ProxyTarget): Promise<Proxy> {
  for (let attempt = 1; ; attempt++) {
    const proxy = new TcpProxy(await lastingPort(), target)
    try {
      await proxy.listen()
    } catch (error) {
      // Somebody else may take the port between the look and the start.
      if (attempt === 5) throw error
      continue
    }
    t?.teardown(() => proxy.close())
    return proxy
  }
}
