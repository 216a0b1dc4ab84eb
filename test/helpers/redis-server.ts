// Real Redis servers for tests: each in a directory and on a port of its own, gone when the test
// ends.
import { execFile, type ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { killed, lastingPort, spawnGuarded, type Test } from './guarded.js'

/** Milliseconds. Generous: only a server that will never be there is given up. */
const DEADLINE = 30_000
const HOST = '127.0.0.1'
/** The user by whom a test reaches a server whose default user has been taken away. */
const OPERATOR = 'operator'

export interface RedisOptions {
  /** Lines of an ACL file without the word `user`: `default off`, `isr on >secret ~isr:* &isr:* +@all`. */
  users?: readonly string[]
  /** `port` speaks TLS, with a certificate signed by `ca`. */
  tls?: boolean
  /** Resolves when the replica has caught up. */
  replicaOf?: { readonly port: number }
  /** More lines of redis.conf. */
  conf?: readonly string[]
}

export interface RedisServer {
  readonly host: string
  /** The same over restarts. */
  readonly port: number
  /** Path of the Unix socket, the same over restarts; without TLS in any case. */
  readonly socket: string
  /** The certificate to trust, with `tls`. */
  readonly ca: string | null
  /** Of the running server, else null. */
  readonly pid: number | null
  /** What the server has printed. */
  readonly output: string
  /** SIGKILL; resolves when nobody listens any more. */
  kill (): Promise<void>
  /** Kills it if it runs and starts it again; `empty: false` keeps the data of a running server. */
  restart (options?: { empty?: boolean }): Promise<void>
  /** The data as they are now. */
  snapshot (): Promise<Buffer>
  /** Kills the server and starts it with the data of a snapshot. */
  restore (snapshot: Buffer): Promise<void>
  /** Freezes the process: it accepts connections (the system does) and answers nothing. */
  stop (): void
  cont (): void
  /** Asks past users, TLS and proxies. Rejects when the server is down, and with its error replies. */
  command (...args: readonly (string | number | Buffer)[]): Promise<unknown>
  /** CONFIG SET; lost by a restart. */
  config (name: string, value: string | number): Promise<void>
  /** A section of INFO as an object. */
  info (section?: string): Promise<Record<string, string>>
  /** What teardown does. */
  close (): Promise<void>
}

/** Asks in short turns until it is so; fails loudly instead of hanging. */
async function until (what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DEADLINE
  let last: unknown
  for (;;) {
    try {
      if (await isSo()) return
      last = undefined
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`, { cause: last })
    await sleep(10)
  }
}

/** A program of the Redis package in a directory of its own, started again and again on one port. */
class Server implements RedisServer {
  readonly host = HOST
  readonly port: number
  readonly socket: string
  readonly ca: string | null
  output = ''
  readonly #dir: string
  readonly #lines: readonly string[]
  readonly #hasUsers: boolean
  readonly #isSentinel: boolean
  #child: ChildProcess | null = null
  #connection: Redis | null = null

  constructor (dir: string, port: number, lines: readonly string[], options: { ca: string | null, hasUsers: boolean, isSentinel: boolean }) {
    this.#dir = dir
    this.port = port
    this.socket = path.join(dir, 'redis.sock')
    this.ca = options.ca
    this.#lines = lines
    this.#hasUsers = options.hasUsers
    this.#isSentinel = options.isSentinel
  }

  get pid (): number | null {
    return this.#child?.pid ?? null
  }

  async start (): Promise<void> {
    const conf = path.join(this.#dir, 'redis.conf')
    // A sentinel writes what it has learnt into its file.
    if (!this.#isSentinel || this.output === '') await writeFile(conf, `${this.#lines.join('\n')}\n`)
    const program = process.env['REDIS_SERVER_PATH'] ?? '/usr/bin/redis-server'
    const child = spawnGuarded(program, [conf, ...(this.#isSentinel ? ['--sentinel'] : [])], { cwd: this.#dir, stdio: ['ignore', 'pipe', 'pipe'] }, this.#dir)
    this.#child = child
    child.once('exit', () => {
      if (this.#child === child) this.#child = null
      this.#disconnect()
    })
    const startOfOutput = this.output.length
    await new Promise<void>((resolve, reject) => {
      const listen = (chunk: Buffer): void => {
        this.output += chunk.toString()
        if (/ready to accept connections|Sentinel ID is/i.test(this.output.slice(startOfOutput))) resolve()
      }
      child.stdout?.on('data', listen)
      child.stderr?.on('data', listen)
      child.once('error', reject)
      child.once('close', () => { reject(new Error(`redis-server did not start: ${this.output.slice(startOfOutput)}`)) })
    })
  }

  async kill (): Promise<void> {
    const child = this.#child
    if (child === null) return
    await killed(child)
    this.#child = null
    this.#disconnect()
  }

  async restart ({ empty = true }: { empty?: boolean } = {}): Promise<void> {
    if (!empty && this.#child !== null) await this.command('save')
    await this.kill()
    if (empty) await rm(this.#dump, { force: true })
    await this.start()
  }

  async snapshot (): Promise<Buffer> {
    await this.command('save')
    return await readFile(this.#dump)
  }

  async restore (snapshot: Buffer): Promise<void> {
    await this.kill()
    await writeFile(this.#dump, snapshot)
    await this.start()
  }

  stop (): void {
    this.#child?.kill('SIGSTOP')
  }

  cont (): void {
    this.#child?.kill('SIGCONT')
  }

  async command (...args: readonly (string | number | Buffer)[]): Promise<unknown> {
    const [name, ...rest] = args
    if (this.#child === null) throw new Error('redis-server does not run')
    this.#connection ??= this.#connect()
    return await this.#connection.call(String(name), rest)
  }

  async config (name: string, value: string | number): Promise<void> {
    await this.command('config', 'set', name, value)
  }

  async info (section = 'everything'): Promise<Record<string, string>> {
    const text = String(await this.command('info', section))
    return Object.fromEntries(text.split('\r\n').filter(line => line.includes(':')).map(line => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1)]
    }))
  }

  async close (): Promise<void> {
    await this.kill()
    await rm(this.#dir, { recursive: true, force: true })
  }

  get #dump (): string {
    return path.join(this.#dir, 'dump.rdb')
  }

  #connect (): Redis {
    const connection = new Redis({
      path: this.socket,
      // Replies as redis-cli shows them, whatever the version of the client.
      protocol: 2,
      ...(this.#hasUsers ? { username: OPERATOR, password: OPERATOR } : {}),
      connectionName: OPERATOR,
      enableReadyCheck: false,
      retryStrategy: () => null
    })
    connection.on('error', () => {})
    connection.once('end', () => { if (this.#connection === connection) this.#connection = null })
    return connection
  }

  #disconnect (): void {
    this.#connection?.disconnect()
    this.#connection = null
  }
}

async function openssl (dir: string, args: readonly string[]): Promise<void> {
  await promisify(execFile)(process.env['OPENSSL_PATH'] ?? '/usr/bin/openssl', args, { cwd: dir })
}

async function makeCertificate (dir: string): Promise<string> {
  await openssl(dir, ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-keyout', 'tls.key', '-out', 'tls.crt', '-subj', '/CN=localhost', '-addext', `subjectAltName=DNS:localhost,IP:${HOST}`])
  return await readFile(path.join(dir, 'tls.crt'), 'utf8')
}

interface LaunchOptions extends RedisOptions {
  /** Lines that need to know the port. */
  linesFor?: (port: number) => Promise<readonly string[]> | readonly string[]
  isSentinel?: boolean
}

async function launch (t: Test | undefined, options: LaunchOptions): Promise<Server> {
  const { users, tls = false, replicaOf, conf = [], linesFor, isSentinel = false } = options
  const dir = await mkdtemp(path.join(tmpdir(), 'isr-redis-'))
  const ca = tls ? await makeCertificate(dir) : null
  // Somebody else may take the port between the look and the start.
  for (let attempt = 1; ; attempt++) {
    const port = await lastingPort()
    const server = new Server(dir, port, [
      `bind ${HOST}`,
      `dir ${dir}`,
      'unixsocket redis.sock',
      ...(tls
        ? ['port 0', `tls-port ${port}`, 'tls-cert-file tls.crt', 'tls-key-file tls.key', 'tls-ca-cert-file tls.crt', 'tls-auth-clients no']
        : [`port ${port}`]),
      ...(isSentinel ? [] : ['save ""', 'appendonly no', 'repl-diskless-sync-delay 0', 'enable-debug-command yes']),
      ...(users === undefined ? [] : [`user ${OPERATOR} on >${OPERATOR} ~* &* +@all`, ...users.map(line => `user ${line}`)]),
      ...(replicaOf === undefined ? [] : [`replicaof ${HOST} ${replicaOf.port}`]),
      ...conf,
      ...await linesFor?.(port) ?? []
    ], { ca, hasUsers: users !== undefined, isSentinel })
    try {
      await server.start()
    } catch (error) {
      await server.kill()
      if (attempt < 5 && /address already in use/i.test(server.output)) continue
      await server.close()
      throw error
    }
    t?.teardown(() => server.close())
    if (replicaOf !== undefined) await until('the replica has caught up', async () => (await server.info('replication'))['master_link_status'] === 'up')
    return server
  }
}

/** Starts a Redis server that saves nothing. Without a test its user closes it. */
export async function startRedis (t?: Test, options: RedisOptions = {}): Promise<RedisServer> {
  return await launch(t, options)
}

export interface ClusterOptions {
  /** More lines of each node's redis.conf. */
  conf?: readonly string[]
  /** Milliseconds until a silent node counts as failed; it takes twice that to be welcome again. The default tolerates a busy machine; a test that kills nodes wants less. */
  nodeTimeout?: number
}

export interface RedisCluster {
  /** Three masters, a third of the slots each. */
  readonly nodes: readonly RedisServer[]
  /** What a cluster client is told at start. */
  readonly seeds: readonly { host: string, port: number }[]
  /** The node that has the slot of a key. */
  nodeOf (key: string): Promise<RedisServer>
  /** Every node calls the cluster whole, or with `false` those that run know that it is not. */
  settled (isWhole?: boolean): Promise<void>
}

const SLOTS = 16_384

/** A Redis Cluster of three masters. A node that is killed and restarted is the same node, with its slots. */
export async function startRedisCluster (t?: Test, { conf = [], nodeTimeout = 5000 }: ClusterOptions = {}): Promise<RedisCluster> {
  const buses = new Map<number, number>()
  const nodes = await Promise.all([0, 1, 2].map(async () => await launch(t, {
    conf: ['cluster-enabled yes', `cluster-node-timeout ${nodeTimeout}`, ...conf],
    async linesFor (port) {
      // By default 10,000 above, among the ports of outgoing connections.
      const bus = await lastingPort()
      buses.set(port, bus)
      return [`cluster-port ${bus}`]
    }
  })))
  const firstOf = (index: number): number => Math.floor(SLOTS * index / nodes.length)
  const ownerOf = (slot: number): Server => nodes.findLast((_, index) => firstOf(index) <= slot) as Server

  const infoOf = async (node: Server): Promise<string> => String(await node.command('cluster', 'info'))
  const cluster: RedisCluster = {
    nodes,
    seeds: nodes.map(({ host, port }) => ({ host, port })),
    nodeOf: async key => ownerOf(Number(await (nodes.find(node => node.pid !== null) as Server).command('cluster', 'keyslot', key))),
    async settled (isWhole = true) {
      await until(isWhole ? 'all nodes call the cluster whole' : 'the nodes know that one is missing', async () => {
        const infos = await Promise.all(nodes.filter(node => isWhole || node.pid !== null).map(infoOf))
        return infos.every(info => isWhole
          ? info.includes('cluster_state:ok') && info.includes(`cluster_slots_ok:${SLOTS}`) && info.includes(`cluster_known_nodes:${nodes.length}`)
          : info.includes('cluster_state:fail'))
      })
    }
  }
  await Promise.all(nodes.map(async (node, index) => {
    await node.command('cluster', 'set-config-epoch', index + 1)
    await node.command('cluster', 'addslotsrange', firstOf(index), firstOf(index + 1) - 1)
  }))
  const [first, ...others] = nodes as [Server, ...Server[]]
  for (const other of others) await first.command('cluster', 'meet', HOST, other.port, buses.get(other.port) as number)
  await cluster.settled()
  return cluster
}

export interface SentinelOptions {
  /** Milliseconds until a silent master counts as failed. */
  downAfter?: number
}

export interface Sentinel {
  /** What a client calls the master. */
  readonly name: string
  readonly seeds: readonly { host: string, port: number }[]
  readonly sentinel: RedisServer
  /** The master and its replica at start. */
  readonly servers: readonly [RedisServer, RedisServer]
  /** The server that the sentinel calls the master. */
  master (): Promise<RedisServer>
  /** Resolves when that server is the master, says so itself and takes writes. */
  promoted (server: RedisServer): Promise<void>
}

/** A master, a replica and a sentinel that decides alone. */
export async function startSentinel (t?: Test, { downAfter = 1000 }: SentinelOptions = {}): Promise<Sentinel> {
  const name = 'main'
  const first = await launch(t, {})
  const second = await launch(t, { replicaOf: first })
  const sentinel = await launch(t, {
    isSentinel: true,
    conf: [`sentinel monitor ${name} ${HOST} ${first.port} 1`, `sentinel down-after-milliseconds ${name} ${downAfter}`, `sentinel failover-timeout ${name} 5000`]
  })
  // Without it there is nobody to promote.
  await until('the sentinel knows a working replica', async () => {
    const [replica] = await sentinel.command('sentinel', 'replicas', name) as string[][]
    return replica !== undefined && replica[replica.indexOf('master-link-status') + 1] === 'ok'
  })
  const portOfMaster = async (): Promise<number> => {
    const [, port] = await sentinel.command('sentinel', 'get-master-addr-by-name', name) as string[]
    return Number(port)
  }
  return {
    name,
    seeds: [{ host: HOST, port: sentinel.port }],
    sentinel,
    servers: [first, second],
    async master () {
      const port = await portOfMaster()
      return port === first.port ? first : second
    },
    async promoted (server) {
      await until('the server is promoted', async () => await portOfMaster() === server.port && (await server.info('replication'))['role'] === 'master')
    }
  }
}
