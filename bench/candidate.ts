import type { ChildProcess } from 'node:child_process'
import type { Server } from 'node:http'
import type { FastifyInstance } from 'fastify'

/** What all candidates of one table have in common. */
export interface Setting {
  /** Of HTML; one of 1, 10.6 and 100. */
  kilobytes: number
  /** Known pages, for the candidates that have several. */
  pages: number
}

/** One way to answer the page in Node. A module in `candidates/` exports one as its default. */
export interface Candidate {
  title: string
  /** An app that answers the page at `/`, not yet listening. */
  createApp (setting: Setting): Promise<FastifyInstance | Server>
  /** What `Cache-Status` must contain once the app is warm; without it the header must be absent. */
  cacheStatus?: string
  /** Paths to ask for in turn instead of `/`. */
  paths?: (setting: Setting) => string[]
  /** A run goes on without it. */
  isOptional?: boolean
  /** Why it can't be measured here, if it can't. */
  unavailable?: () => string | null
}

/** A server that is no module of ours. A module in `candidates/` exports one as its default. */
export interface Peer {
  title: string
  /** Installs what it needs, or throws an `Unavailable`. Returns when the server listens. */
  start (setting: Setting, tools: PeerTools): Promise<PeerServer>
  /** Makes sure that an answer is the page, and that it came from a cache. */
  verify (text: string, headers: Headers, page: string): string | null
}

export interface PeerTools {
  /** Pins the command to the core of servers. */
  pin (command: string, args: string[]): [string, string[]]
  /** Whether something may be installed. */
  install: boolean
  log (line: string): void
}

export interface PeerServer {
  /** The root of the process tree whose CPU counts. */
  process: ChildProcess
  port: number
  version: string
  stop (): Promise<void>
}

/** Says why something can't be measured here; it does not end the run. */
export class Unavailable extends Error {}

export function isPeer (module: Candidate | Peer): module is Peer {
  return 'start' in module
}
