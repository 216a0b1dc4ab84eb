import { RCDATA, isAnimated, isResource, isUrlAttribute } from './elements.js'
import { HTML_START, type HtmlState, isSame, joinStates } from './html-state.js'
import { nextState, unknown } from './tokenizer.js'
import { SchemeFromValue } from './url-state.js'

/**
 * How a value has to be written in its place. `markup`: between tags, where markup may stand, too.
 * `text`: where only text may. `url`: at the head of a URL. `ownPath`: the same, of something that
 * runs as a part of the page. `json`: in a script.
 */
export type ValueKind = 'markup' | 'text' | 'url' | 'ownPath' | 'json'

/** No value may stand here: the message says why. */
export class UnsafePlace extends Error {
  /** In the text that was read. */
  readonly offset: number

  constructor (message: string, offset = 0) {
    super(message)
    this.offset = offset
  }
}

/** What the browser will be reading at one place of a template. Knows the text of the template, never a value. */
export class HtmlContext {
  #state: HtmlState
  readonly #isWithinSpecial: boolean

  /** @param isWithinSpecial what is read here will stand in a special place */
  constructor (isWithinSpecial = false, state: HtmlState = HTML_START) {
    this.#state = state
    this.#isWithinSpecial = isWithinSpecial
  }

  copy (): HtmlContext {
    return new HtmlContext(this.#isWithinSpecial, this.#state)
  }

  become (other: HtmlContext): void {
    this.#state = other.#state
  }

  isSameAs (other: HtmlContext): boolean {
    return isSame(this.#state, other.#state)
  }

  /** Goes on with what both have in common. False: nothing. */
  join (other: HtmlContext): boolean {
    const joined = joinStates(this.#state, other.#state)
    if (joined === null) return false
    this.#state = joined
    return true
  }

  /** @throws UnsafePlace if the text makes something harmful of the value before it */
  feed (text: string): void {
    let state = this.#state
    for (let at = 0; at < text.length; at++) {
      if (state.where === 'data') {
        at = text.indexOf('<', at)
        if (at < 0) break
      }
      try {
        state = nextState(state, text.charAt(at))
      } catch (error) {
        if (!(error instanceof SchemeFromValue)) throw error
        throw new UnsafePlace(`${error.message} in ${nameOf(state)}: the scheme of a URL must not come from a value`, at)
      }
    }
    this.#state = state
  }

  /** Goes on behind markup that was followed by another, from a place between tags on. */
  follow (inserted: HtmlContext): void {
    if (inserted.#state.where === 'unknown') this.#state = unknown(this.#state, inserted.#state.reason)
    if (!inserted.#state.isNeutral) this.#state = { ...this.#state, isNeutral: false }
  }

  get isMarkup (): boolean {
    return this.#state.where === 'data' && this.#state.integration === ''
  }

  get isUnknown (): boolean {
    return this.#state.where === 'unknown'
  }

  /** Some tags mean something else here than usually: in `<svg>`, `<math>` and `<select>`. */
  get isSpecial (): boolean {
    return this.#isWithinSpecial || this.#state.foreign !== '' || this.#state.inSelect
  }

  /** No tag so far would mean something else in a special place. */
  get isNeutral (): boolean {
    return this.#state.isNeutral
  }

  /** What is open besides elements, as words, or null: what follows is read like a new text. */
  get open (): string | null {
    const { where, foreign, integration, inSelect } = this.#state
    if (where !== 'data') return nameOf(this.#state)
    if (integration !== '') return `<${integration}> in <svg> or <math>`
    return foreign !== '' ? `<${foreign.slice(foreign.lastIndexOf('/') + 1)}>` : inSelect ? '<select>' : null
  }

  /**
   * Puts a value here.
   * @throws UnsafePlace
   */
  place (isJson = false): ValueKind {
    const state = this.#state
    const { where, element } = state
    if (where === 'data') return this.isMarkup ? 'markup' : 'text'
    if (where === 'value') return this.#placeInAttribute()
    if (where === 'beforeValue' || where === 'bareValue') throw new UnsafePlace(`the attribute "${state.attribute}" has no quotes: put some around its value`)
    if (where !== 'text') throw new UnsafePlace(nameOf(state))
    if (RCDATA.has(element)) {
      if (state.tail !== '') throw new UnsafePlace(`"${state.tail}" in <${element}> may begin a tag with what comes after the value`)
      return 'text'
    }
    if (element !== 'script' || !isJson) throw new UnsafePlace(`<${element}>: only {{= value | json }} may, and only in <script>`)
    if (state.nesting !== 'plain' || state.tail !== '') throw new UnsafePlace('a <script> with "<!--" or the begin of a tag in it')
    if (state.script === 'code') return 'json'
    throw new UnsafePlace(state.script === 'unclear'
      ? 'a <script> with a "/", a template literal or a quote without end before the value: put values in a script of their own'
      : 'a string or comment in a <script>: the value has quotes of its own')
  }

  #placeInAttribute (): ValueKind {
    const { element, attribute, url } = this.#state
    if (attribute.startsWith('on')) throw new UnsafePlace(`the event handler "${attribute}"`)
    if (attribute === 'style' || attribute === 'srcdoc' || isAnimated(element, attribute)) throw new UnsafePlace(`the attribute "${attribute}"`)
    if (!isUrlAttribute(attribute)) return 'text'
    const { phase, head } = url
    if (url.entity !== '' || phase === 'unclear') throw new UnsafePlace(`the URL in "${attribute}" after an entity or a branch that may be a part of its scheme`)
    const isRun = isResource(element, attribute)
    switch (phase) {
      case 'settled': return 'text'
      case 'open':
        if (isRun) throw new UnsafePlace(`"${attribute}" of <${element}>: what is run must not come from a host that a value decides`)
        return 'text'
      case 'start':
        this.#state = { ...this.#state, url: { ...url, phase: 'value' } }
        return isRun ? 'ownPath' : 'url'
      case 'value': throw new UnsafePlace(`two values at the head of the URL in "${attribute}": put a "/" between them`)
      case 'scheme': throw new UnsafePlace(`the URL in "${attribute}" after ${JSON.stringify(head)}, which a value could complete to a scheme: begin with "/" or "./"`)
      case 'unsafe': throw new UnsafePlace(`the URL in "${attribute}" after ${JSON.stringify(`${head}:`)}`)
    }
  }

  /**
   * Puts a URL here that the author of the template named. `plain`: it must need no escaping.
   * @throws UnsafePlace
   */
  placeAsset (path: string): 'text' | 'plain' {
    const { where, element, attribute } = this.#state
    if (['tagOpen', 'endTagOpen', 'tagName', 'name', 'afterName', 'beforeName', 'gap', 'selfClosing', 'declaration'].includes(where)) throw new UnsafePlace(nameOf(this.#state))
    const isText = where === 'data' || (where === 'text' && RCDATA.has(element)) || (where === 'value' && !/^(?:on|style$|srcdoc$)/.test(attribute))
    this.feed(path)
    return isText ? 'text' : 'plain'
  }
}

function nameOf ({ where, element, attribute, reason }: HtmlState): string {
  switch (where) {
    case 'data': return 'text'
    case 'text': return `<${element}>`
    case 'comment': case 'bogus': case 'declaration': return 'an HTML comment or declaration'
    case 'value': case 'bareValue': case 'beforeValue': return `the attribute "${attribute}" of <${element}>`
    case 'unknown': return reason
    default: return 'a tag, outside of the quotes of an attribute'
  }
}
