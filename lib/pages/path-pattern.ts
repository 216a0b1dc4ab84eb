/**
 * Route patterns as find-my-way reads them (`:a`, `:a-:b`, `:a(^re)`, `:a?`,
 * `*`, `::`), turned around: params → path. The router has no such function.
 */
export interface PathPattern {
  readonly isStatic: boolean
  /** Names of the params, `*` for the wildcard. */
  readonly params: readonly string[]
  /** The canonical path, or the name of the param that is missing or empty. */
  build (params: Readonly<Record<string, string | undefined>>): { path: string } | { missing: string }
}

type Part =
  | { literal: string }
  | { param: string, isOptional: boolean }
  | { wildcard: true }

export function parsePattern (pattern: string): PathPattern {
  const parts = parse(pattern)
  const params = parts.flatMap(part => 'param' in part ? [part.param] : 'wildcard' in part ? ['*'] : [])
  return {
    isStatic: params.length === 0,
    params,
    build (values) {
      let path = ''
      for (const part of parts) {
        if ('literal' in part) {
          path += encodePath(part.literal)
          continue
        }
        const name = 'param' in part ? part.param : '*'
        const value = values[name]
        if (value === undefined || value === '') {
          if ('param' in part && !part.isOptional) return { missing: name }
          // `/:a?` without its param is the path before the slash.
          if ('param' in part) path = path.length > 1 ? path.slice(0, -1) : path
          continue
        }
        path += 'param' in part ? encodeSegment(value) : encodePath(value)
      }
      return { path }
    }
  }
}

function parse (pattern: string): Part[] {
  const parts: Part[] = []
  let literal = ''
  const endLiteral = (): void => {
    if (literal !== '') parts.push({ literal })
    literal = ''
  }
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === ':' && pattern[i + 1] === ':') {
      literal += ':'
      i++
    } else if (char === ':') {
      endLiteral()
      const name = /^[^(\-./?]*/.exec(pattern.slice(i + 1))?.[0] ?? ''
      i += name.length
      if (pattern[i + 1] === '(') i = endOfGroup(pattern, i + 1)
      const isOptional = pattern[i + 1] === '?'
      if (isOptional) i++
      parts.push({ param: name, isOptional })
    } else if (char === '*') {
      endLiteral()
      parts.push({ wildcard: true })
    } else {
      literal += char
    }
  }
  endLiteral()
  return parts
}

/** Index of the parenthesis that closes the one at `start`. */
function endOfGroup (pattern: string, start: number): number {
  let depth = 0
  for (let i = start; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++
    else if (pattern[i] === '(') depth++
    else if (pattern[i] === ')' && --depth === 0) return i
  }
  return pattern.length - 1
}

/** RFC 3986 pchar, without the semicolon that some routers take for a delimiter. */
const PLAIN = 'A-Za-z0-9\\-._~!$&\'()*+,=:@'
const MUST_ENCODE = new RegExp(`[^${PLAIN}]`, 'u')

/** Percent-encodes what a path segment can't hold raw, and nothing else. Lone surrogates become U+FFFD. */
export function encodeSegment (text: string): string {
  if (!MUST_ENCODE.test(text)) return text
  return encodeURIComponent(Buffer.from(text).toString()).replace(/%(?:24|26|2B|2C|3D|3A|40)/g, decodeURIComponent)
}

function encodePath (text: string): string {
  return text.split('/').map(encodeSegment).join('/')
}

const MAX_PATH = 2048
const MAX_SEGMENT = 255
const CANONICAL = new RegExp(`^(?:/(?:[${PLAIN}]|%[0-9A-F]{2})*)+$`)

/**
 * Whether a path is spelled in the one way that pages are stored under. Only
 * such paths are looked up, so that no other spelling is ever taken for one:
 * no dot segments, empty segments, backslashes, semicolons or fragments, no
 * encoded slash or control character, nothing encoded that need not be.
 */
export function isCanonicalPath (path: string): boolean {
  if (path.length > MAX_PATH || !CANONICAL.test(path)) return false
  if (path === '/') return true
  // One trailing slash is a spelling of its own (`/docs/`); an empty segment within is none.
  const segments = path.slice(1).split('/')
  if (segments.at(-1) === '') segments.pop()
  return segments.every(isCanonicalSegment)
}

function isCanonicalSegment (segment: string): boolean {
  if (segment === '' || segment === '.' || segment === '..' || segment.length > MAX_SEGMENT) return false
  if (!segment.includes('%')) return true
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    return false
  }
  // eslint-disable-next-line no-control-regex
  return !/[\u0000-\u001f\u007f/\\]/.test(text) && text !== '.' && text !== '..' && encodeSegment(text) === segment
}
