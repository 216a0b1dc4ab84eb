import { createHash } from 'node:crypto'

/** A Lua script, known to Redis by its checksum. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

export function script (lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

export type Argument = string | number | Buffer

export interface LinkListener {
  /** Something was published on one of the channels. */
  message (channel: string, text: string): void
  /** The channels are heard from now on; what was said before may be lost. */
  subscribed (): void
  /** Redis can be asked again. */
  up (): void
  /** Redis can't be asked; once per outage. */
  down (error: Error): void
}

/** The way to Redis, as far as it can be asked. Nothing waits longer than the command timeout. */
export interface Link {
  /** False while nothing is asked: not connected, or given up for a while. */
  readonly isUp: boolean
  /** Commands sent, since start. */
  readonly commands: number
  /** Prefix that Redis clients put before every key, but not before channels. */
  readonly keyPrefix: string
  /** Connects and listens. Resolves when it is up or after the time a connection may take; never rejects. */
  start (channels: readonly string[], listener: LinkListener): Promise<void>
  /**
   * Runs a script; strings come as strings.
   *
   * @throws FST_ISR_ERR_REDIS_UNAVAILABLE when it could not be asked, the reply error when it refused
   */
  run (script: Script, keys: readonly string[], args?: readonly Argument[]): Promise<unknown>
  /** Like `run`; strings come as buffers. */
  runBuffer (script: Script, keys: readonly string[], args?: readonly Argument[]): Promise<unknown>
  /** Replaces the connection that listens: it says nothing any more. */
  resubscribe (): void
  close (): Promise<void>
}
