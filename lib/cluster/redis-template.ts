/** What is used of a client: one of ioredis 5.4+ or 6, or of iovalkey. */
export interface RedisClient {
  readonly status: string
  connect (): Promise<void>
  disconnect (): void
  call (command: string, args: (string | number | Buffer)[]): Promise<unknown>
  callBuffer (command: string, args: (string | number | Buffer)[]): Promise<unknown>
  on<Args extends unknown[]> (event: string, listener: (...args: Args) => void): unknown
}

interface NodeOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly keyPrefix?: string | undefined
}

/** A client for one server. */
export interface RedisNode extends RedisClient {
  readonly options: NodeOptions
  readonly stream?: unknown
  duplicate (options: object): RedisNode
  subscribe (...channels: string[]): Promise<unknown>
}

/** A client for the servers of a Redis Cluster. */
export interface RedisCluster extends RedisClient {
  readonly options: { readonly keyPrefix?: string | undefined }
  readonly slots: readonly (readonly string[])[]
  duplicate (startupNodes: [], options: object): RedisCluster
  nodes (role: 'master' | 'all'): RedisNode[]
}

/**
 * A client whose options say how Redis is reached: `Redis` or `Cluster` of
 * ioredis or iovalkey. Its connection, if it has one, is never used.
 */
export type RedisTemplate = RedisNode | RedisCluster

export function isCluster (client: RedisTemplate): client is RedisCluster {
  return 'nodes' in client
}

/** Whether the client finds out by itself where the server is. */
export function isDiscovering (client: RedisTemplate): boolean {
  return isCluster(client) || Array.isArray(optionsOf(client).sentinels)
}

type ReconnectOnError = (error: Error) => boolean | number

interface Known {
  reconnectOnError?: ReconnectOnError | null
  redisOptions?: Known
  sentinels?: unknown
  slotsRefreshInterval?: number
}

function optionsOf (client: { readonly options?: object }): Known {
  return client.options ?? {}
}

const never = (): null => null

/**
 * For one server. Nothing is remembered from one connection to the next and
 * nothing waits for one: a command that comes late would do harm, and clients
 * differ in what they repeat. Each connection is a client of its own.
 */
export function nodeOptions (template: object, commandTimeout: number): object {
  const { reconnectOnError } = optionsOf(template)
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    enableAutoPipelining: false,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: never,
    sentinelRetryStrategy: never,
    // INFO, which the check needs, may be forbidden, and tells nothing of a server that hangs.
    enableReadyCheck: false,
    // Whoever asks has a deadline; that of a client leaves timers behind.
    commandTimeout: undefined,
    sentinelCommandTimeout: commandTimeout,
    connectTimeout: 2 * commandTimeout,
    socketTimeout: undefined,
    // Whoever disconnects has given up what is under way.
    disconnectTimeout: 1,
    // A template may serve something else: reads from replicas, numbers as strings.
    role: 'master',
    readOnly: false,
    monitor: false,
    stringNumbers: false,
    replyMapping: 'legacy',
    // True: the connection is given up. A number would send the command once more.
    ...(typeof reconnectOnError === 'function' ? { reconnectOnError: (error: Error) => Boolean(reconnectOnError(error)) } : {})
  }
}

/** The same for a Redis Cluster. */
export function clusterOptions (template: object, commandTimeout: number): object {
  const { redisOptions, slotsRefreshInterval } = optionsOf(template)
  return {
    lazyConnect: true,
    // Waits at most until a node is connected; without it all but the first command to a node would be refused.
    enableOfflineQueue: true,
    enableReadyCheck: false,
    enableAutoPipelining: false,
    shardedSubscribers: false,
    scaleReads: 'master',
    clusterRetryStrategy: never,
    clusterNodeRetryStrategy: null,
    // Without a wait the caller is told instead.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: 2 * commandTimeout,
    // A server that hangs redirects nobody to the one that took over.
    slotsRefreshInterval: slotsRefreshInterval ?? 5000,
    // Merged by hand: ioredis 5.4 would forget the template's.
    redisOptions: { ...redisOptions, ...nodeOptions({ options: redisOptions ?? {} }, commandTimeout) }
  }
}
