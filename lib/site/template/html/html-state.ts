import type { ScriptState } from './script-state.js'
import { URL_START, type UrlState, joinUrlStates } from './url-state.js'

/**
 * Where the tokenizer of HTML is. `gap`: behind the name of an attribute or before one, as only
 * branches of the template know. `text`: in an element of raw text. `unknown`: browsers do not agree,
 * or the tracker does not want to know.
 */
export type Where =
  | 'data' | 'tagOpen' | 'endTagOpen' | 'tagName' | 'beforeName' | 'name' | 'afterName' | 'gap' | 'beforeValue'
  | 'value' | 'bareValue' | 'selfClosing' | 'declaration' | 'bogus' | 'comment' | 'text' | 'unknown'

/** All that decides how a browser reads what comes next. Every field counts when states are compared. */
export interface HtmlState {
  where: Where
  /** Of the tag that is read, or of the element whose raw text is read; lower case. */
  element: string
  isEnd: boolean
  /** Lower case. */
  attribute: string
  quote: string
  /** The last characters, where a few together have a meaning. */
  tail: string
  url: Readonly<UrlState>
  /** How `<!--` and `<script` have nested within a script. */
  nesting: 'plain' | 'escaped' | 'double'
  script: ScriptState
  /** `svg` and `math` that are open. */
  foreign: string
  /** An element in those that begins HTML again. */
  integration: string
  inSelect: boolean
  /** Why it is unknown. */
  reason: string
  /** No tag so far that is read otherwise in `<svg>`. */
  isNeutral: boolean
}

export const HTML_START: Readonly<HtmlState> = {
  where: 'data',
  element: '',
  isEnd: false,
  attribute: '',
  quote: '',
  tail: '',
  url: URL_START,
  nesting: 'plain',
  script: 'code',
  foreign: '',
  integration: '',
  inSelect: false,
  reason: '',
  isNeutral: true
}

function equal (one: HtmlState, other: HtmlState, except: ReadonlySet<keyof HtmlState>): boolean {
  return (Object.keys(one) as Array<keyof HtmlState>).every(key => except.has(key) || one[key] === other[key])
}

const JOINED = new Set<keyof HtmlState>(['url', 'script', 'isNeutral'])
const ATTRIBUTES = new Set<keyof HtmlState>(['where', 'attribute', 'isNeutral', 'url'])
const AFTER_ATTRIBUTE: readonly Where[] = ['beforeName', 'name', 'afterName', 'gap']

/** What is true whichever of the two was read, or null if they have nothing in common. */
export function joinStates (one: HtmlState, other: HtmlState): HtmlState | null {
  const isNeutral = one.isNeutral && other.isNeutral
  const unknown = [one, other].find(({ where }) => where === 'unknown')
  if (unknown !== undefined) return { ...unknown, isNeutral }
  if (equal(one, other, JOINED)) {
    const script = one.script === other.script ? one.script : 'unclear'
    return { ...one, url: joinUrlStates(one.url, other.url), script, isNeutral }
  }
  if (!equal(one, other, ATTRIBUTES) || ![one, other].every(({ where }) => AFTER_ATTRIBUTE.includes(where))) return null
  const isApart = [one, other].every(({ where }) => where === 'beforeName' || where === 'afterName')
  return { ...one, where: isApart ? 'beforeName' : 'gap', attribute: '', url: URL_START, isNeutral }
}

export function isSame (one: HtmlState, other: HtmlState): boolean {
  const { url: a } = one
  const { url: b } = other
  return equal(one, other, new Set<keyof HtmlState>(['url', 'isNeutral'])) && a.phase === b.phase && a.head === b.head && a.entity === b.entity
}
