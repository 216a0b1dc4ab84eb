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
  /** `mayBeEmpty`: its expression takes nothing for a value, too. */
  | { param: string, mayBeEmpty: boolean }
  | { wildcard: true }

/** As find-my-way reads it: the whole last segment is there or not. */
const OPTIONAL = /(\/:[^/()]*)\?(\/?)$/

export function parsePattern (pattern: string): PathPattern {
  const [optional, segment = '', end = ''] = OPTIONAL.exec(pattern) ?? []
  const before = optional === undefined ? pattern : pattern.slice(0, -optional.length)
  const parts = parse(before + segment + end)
  const shorter = optional === undefined ? null : parse(before + end || '/')
  const optionalParams = namesOf(parse(segment))
  const params = namesOf(parts)
  return {
    isStatic: params.length === 0,
    params,
    build: values => build(shorter !== null && optionalParams.every(name => isMissing(values[name])) ? shorter : parts, values)
  }
}

function build (parts: readonly Part[], values: Readonly<Record<string, string | undefined>>): { path: string } | { missing: string } {
  let path = ''
  for (const part of parts) {
    if ('literal' in part) path += encodePath(part.literal)
    else if ('wildcard' in part) path += encodePath(values['*'] ?? '')
    else {
      const value = values[part.param]
      if (value === undefined || (value === '' && !part.mayBeEmpty)) return { missing: part.param }
      path += encodeSegment(value)
    }
  }
  return { path }
}

function isMissing (value: string | undefined): value is undefined | '' {
  return value === undefined || value === ''
}

function namesOf (parts: readonly Part[]): string[] {
  return parts.flatMap(part => 'param' in part ? [part.param] : 'wildcard' in part ? ['*'] : [])
}

function parse (pattern: string): Part[] {
  const parts: Part[] = []
  let literal = ''
  const endLiteral = (): void => {
    if (literal !== '') parts.push({ literal })
    literal = ''
  }
  let isAfterParam = false
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? ''
    if (char === ':' && pattern[i + 1] === ':') {
      literal += ':'
      i++
    } else if (char === ':') {
      endLiteral()
      const param = /^[^(\-./]*/.exec(pattern.slice(i + 1))?.[0] ?? ''
      i += param.length
      const start = i + 1
      if (pattern[start] === '(') i = endOfGroup(pattern, start)
      parts.push({ param, mayBeEmpty: i >= start && new RegExp(pattern.slice(start, i + 1)).test('') })
      isAfterParam = true
    } else if (char === '*' && !isAfterParam) {
      endLiteral()
      parts.push({ wildcard: true })
    } else {
      literal += char
      // In a segment with a param an asterisk is one.
      if (char === '/') isAfterParam = false
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

/** Nothing encoded, no dot segment: most paths are like this, and nothing else has to be looked at. */
const SIMPLE = new RegExp(`^(?:/(?!\\.\\.?(?:/|$))[${PLAIN}]{1,${MAX_SEGMENT}})+/?$`)

/**
 * Whether a path is spelled in the one way that pages are stored under. Only
 * such paths are looked up, so that no other spelling is ever taken for one:
 * no dot segments, empty segments, backslashes, semicolons or fragments, no
 * encoded slash or control character, nothing encoded that need not be.
 */
export function isCanonicalPath (path: string): boolean {
  if (path.length > MAX_PATH) return false
  if (path === '/' || SIMPLE.test(path)) return true
  if (!CANONICAL.test(path)) return false
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
