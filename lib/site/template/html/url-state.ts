import { decodeEntity } from '../escape.js'
import { isSafeScheme } from '../safe-url.js'

/**
 * How much of the URL in an attribute is known.
 * - `start`: nothing yet.
 * - `scheme`: letters that may become one.
 * - `value`: begins with a value; no scheme may be made of it.
 * - `open`: no harmful scheme any more, but the host may still be to come.
 * - `settled`: scheme and host are known.
 * - `unsafe`, `unclear`: no value may follow.
 */
export type UrlPhase = 'start' | 'scheme' | 'value' | 'open' | 'settled' | 'unsafe' | 'unclear'

export interface UrlState {
  phase: UrlPhase
  /** What was read of it so far; empty once it does not matter any more. */
  head: string
  /** Begun with `&`, and not complete. */
  entity: string
}

export const URL_START: Readonly<UrlState> = { phase: 'start', head: '', entity: '' }

/** Text of the template that would complete what a value began. */
export class SchemeFromValue extends Error {}

/** No name has more characters. */
const LONGEST_ENTITY = 40

/** The state after one more character of the template. */
export function nextUrlState (state: UrlState, character: string): UrlState {
  const { phase, entity } = state
  if (phase === 'settled' || phase === 'unsafe' || phase === 'unclear') return state
  if (entity !== '') {
    const plain = { ...state, entity: '' }
    if (/[\w#]/.test(character)) {
      if (entity.length < LONGEST_ENTITY) return { ...state, entity: entity + character }
      // A number with so many zeros in front of it that nobody means it.
      if (entity.startsWith('&#')) return afterEntity(plain, entity + character, null)
    }
    if (character === ';') return afterEntity(plain, entity + character)
    // Without its ';' a number is an entity all the same; a name may be one, but none of those makes a scheme.
    return nextUrlState(entity.startsWith('&#') ? afterEntity(plain, entity) : advance(plain, '&'), character)
  }
  return character === '&' ? { ...state, entity: '&' } : advance(state, character)
}

function afterEntity (state: UrlState, entity: string, text = decodeEntity(entity)): UrlState {
  if (text !== null) return [...text].reduce(advance, state)
  if (state.phase === 'value') throw new SchemeFromValue(`"${entity}" after a value`)
  return { ...state, phase: 'unclear' }
}

function advance (state: UrlState, character: string): UrlState {
  // Browsers take no notice of these, wherever they stand.
  if (/[\t\n\r]/.test(character)) return state
  switch (state.phase) {
    case 'start':
      if (character <= ' ') return state
      if (/[a-z]/i.test(character)) return { ...state, phase: 'scheme', head: character }
      return toOpen(state, character)
    case 'scheme': {
      const head = state.head + character
      if (/[a-z\d+.-]/i.test(character)) return { ...state, head }
      if (character !== ':') return settled()
      return isSafeScheme(state.head) ? toOpen(state, head) : { ...state, phase: 'unsafe' }
    }
    case 'value':
      if (character === ':') throw new SchemeFromValue('":" after a value')
      return /[\w+. -]/.test(character) ? state : { ...state, phase: 'open', head: NEVER_SETTLED }
    case 'open':
      return toOpen(state, state.head + character)
    default:
      return state
  }
}

/** Whatever is read after it, the host may come from a value. */
const NEVER_SETTLED = 'x'

/** Beyond it there is no such host: looking at all of it for each character would take long. */
const LONGEST_HOST = 300

/** `/x`, `//host/`, `https://host/` and `?x` are settled; `/`, `//`, `https:` are not. */
function toOpen (state: UrlState, head: string): UrlState {
  if (/^(?:[/\\][^/\\]|(?:https?:|ftp:)?[/\\]{2,}[^/\\?#]+[/\\?#]|(?:mailto|tel|sms):|[^/\\a-z])/i.test(head)) return settled()
  return { ...state, phase: 'open', head: head.length > LONGEST_HOST ? NEVER_SETTLED : head }
}

function settled (): UrlState {
  return { phase: 'settled', head: '', entity: '' }
}

/** What is true whichever of the two was read. */
export function joinUrlStates (one: UrlState, other: UrlState): UrlState {
  if (one.phase === other.phase && one.head === other.head && one.entity === other.entity) return one
  const phases = new Set([one.phase, other.phase])
  const has = (phase: UrlPhase): boolean => phases.has(phase)
  if (one.entity !== '' || other.entity !== '' || has('scheme') || has('unsafe') || has('unclear')) return { phase: 'unclear', head: '', entity: '' }
  // A URL that may have begun already can't be told from one that began with a value.
  if (has('start') || has('value')) return { phase: 'value', head: '', entity: '' }
  return { phase: 'open', head: NEVER_SETTLED, entity: '' }
}
