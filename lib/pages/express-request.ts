import type { Settings } from '../options.js'
import type { PageRoute } from './registry.js'

/** Headers that make a request one for the default lane, whatever their value. */
const NOT_PLAIN = [
  'authorization', 'expect', 'upgrade', 'content-length', 'transfer-encoding', 'accept-version',
  'range', 'if-range', 'if-match', 'if-unmodified-since', 'if-modified-since'
]

type Meaning = 'host' | 'encoding' | 'tag' | 'cookie' | 'other'

interface Known {
  readonly name: string
  /** Of the name's first and last letter. Most headers are told apart by them and need no lower case. */
  readonly first: number
  readonly last: number
  readonly meaning: Meaning
}

/** Headers beyond it cost more to look through than the lane saves. */
const MOST_PAIRS = 64
const LOWER = 0x20

/**
 * Looks through the headers of a request as they came, without making objects
 * of them. One reader serves all requests: what it has read is true until the
 * next.
 */
export class PlainReader {
  acceptEncoding: string | undefined
  ifNoneMatch: string | undefined
  /** By the length of the name. */
  readonly #known: (readonly Known[] | undefined)[] = []
  readonly #cookies: readonly string[]

  /** `bypass` of any route concerns all here: the default lane knows better. */
  constructor (settings: Settings, routes: readonly PageRoute[]) {
    const rules = [settings.bypass, ...routes.map(route => route.policy.bypass)].filter(rule => typeof rule === 'object' && rule !== null)
    this.#cookies = [...new Set(rules.flatMap(rule => rule.cookies ?? []))]
    const known = new Map<string, Meaning>([
      ['host', 'host'],
      ['accept-encoding', 'encoding'],
      ['if-none-match', 'tag'],
      ...(this.#cookies.length === 0 ? [] : [['cookie', 'cookie'] as const]),
      ...[...NOT_PLAIN, ...rules.flatMap(rule => rule.headers ?? [])].map(name => [name, 'other'] as const)
    ])
    for (const [name, meaning] of known) {
      const byLength = this.#known[name.length] ?? []
      this.#known[name.length] = [...byLength, { name, meaning, first: name.charCodeAt(0) | LOWER, last: name.charCodeAt(name.length - 1) | LOWER }]
    }
  }

  /** Whether a page may answer this request without anything more being asked. */
  read (rawHeaders: readonly string[]): boolean {
    this.acceptEncoding = undefined
    this.ifNoneMatch = undefined
    if (rawHeaders.length > 2 * MOST_PAIRS) return false
    let hasHost = false
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const meaning = this.#meaningOf(rawHeaders[i] as string)
      if (meaning === null) continue
      const value = rawHeaders[i + 1] as string
      // Node joins some headers that come twice and drops others: not known here.
      if (meaning === 'host') {
        if (hasHost) return false
        hasHost = true
      } else if (meaning === 'encoding') {
        if (this.acceptEncoding !== undefined) return false
        this.acceptEncoding = value
      } else if (meaning === 'tag') {
        if (this.ifNoneMatch !== undefined) return false
        this.ifNoneMatch = value
      } else if (meaning === 'other' || this.#mayBypass(value)) return false
    }
    return hasHost
  }

  #meaningOf (name: string): Meaning | null {
    const candidates = this.#known[name.length]
    if (candidates === undefined) return null
    const first = name.charCodeAt(0) | LOWER
    const last = name.charCodeAt(name.length - 1) | LOWER
    for (const known of candidates) {
      if (known.first === first && known.last === last && known.name === name.toLowerCase()) return known.meaning
    }
    return null
  }

  /** Also true for a cookie whose name or value only contains such a name. */
  #mayBypass (cookies: string): boolean {
    for (const name of this.#cookies) if (cookies.includes(name)) return true
    return false
  }
}
