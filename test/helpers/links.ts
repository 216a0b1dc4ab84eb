import type { Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LinkListener } from '../../lib/cluster/link.js'
import { RedisLink, type RedisLinkOptions } from '../../lib/cluster/redis-link.js'

/** Milliseconds. Only what will never happen is given up. */
const DEADLINE = 30_000

/** Milliseconds that a busy machine does not need for an answer. */
export const PATIENT = 10_000

/** Asks in short turns until it is so. */
export async function eventually (what: string, isSo: () => boolean | Promise<boolean>, within = DEADLINE): Promise<void> {
  const deadline = performance.now() + within
  while (!await isSo()) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`)
    await sleep(5)
  }
}

export interface TestLink extends LinkListener {
  readonly link: RedisLink
  /** What was told, in order: `up`, `down`, `subscribed`. */
  readonly told: string[]
  readonly downs: Error[]
  readonly messages: [channel: string, text: string][]
  readonly troubles: Error[]
}

/** A link that is closed with the test, and what it says. */
export function makeLink (t: Test, options: Omit<RedisLinkOptions, 'onTrouble'>): TestLink {
  const told: string[] = []
  const downs: Error[] = []
  const messages: [string, string][] = []
  const troubles: Error[] = []
  const link = new RedisLink({ ...options, onTrouble: error => { troubles.push(error) } })
  t.teardown(() => link.close())
  return {
    link,
    told,
    downs,
    messages,
    troubles,
    up: () => { told.push('up') },
    down: error => {
      told.push('down')
      downs.push(error)
    },
    subscribed: () => { told.push('subscribed') },
    message: (channel, text) => { messages.push([channel, text]) }
  }
}

/** One that has started; up, as far as the server is. */
export async function startLink (t: Test, options: Omit<RedisLinkOptions, 'onTrouble'>, channels: readonly string[] = ['news']): Promise<TestLink> {
  const made = makeLink(t, options)
  await made.link.start(channels, made)
  return made
}

/** The code with which a promise rejects; null when it does not. */
export async function codeOf (promise: Promise<unknown>): Promise<string | null> {
  try {
    await promise
    return null
  } catch (error) {
    return (error as { code?: string }).code ?? (error as Error).message
  }
}

/** What could keep the process alive, the children of the test apart. */
export function leftovers (): number {
  return process.getActiveResourcesInfo().filter(kind => kind === 'Timeout' || kind.startsWith('TCP') || kind === 'GetAddrInfoReqWrap').length
}

/** Nothing more is open than before, and that not only because a timer of a patient command has run out. */
export async function leavesNothing (before: number): Promise<void> {
  await eventually(`${before} are left`, () => leftovers() <= before, PATIENT / 2)
}
