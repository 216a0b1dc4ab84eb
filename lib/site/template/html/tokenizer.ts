// The tokenizer of HTML, character by character, as far as it decides what a value can do in a place.
// It follows https://html.spec.whatwg.org/multipage/parsing.html, and where that depends on the tree
// it goes to `unknown`, after which no value is accepted.
import { BREAKOUT, ENDS_ALL, FOREIGN, INTEGRATION, RAW, isUrlAttribute } from './elements.js'
import type { HtmlState } from './html-state.js'
import { nextRawText } from './raw-text.js'
import { URL_START, nextUrlState } from './url-state.js'

const BLANK = /[\t\n\f\r ]/
const LETTER = /[a-z]/i

/** The state after one more character of the template. */
export function nextState (state: HtmlState, c: string): HtmlState {
  switch (state.where) {
    case 'data': return c === '<' ? { ...state, where: 'tagOpen' } : state
    case 'tagOpen':
      if (c === '/') return { ...state, where: 'endTagOpen' }
      if (c === '!' || c === '?') {
        if (state.integration !== '') return unknown(state, `"<${c}" in <${state.integration}> in <svg> or <math>`)
        return c === '!' ? { ...state, where: 'declaration', tail: '' } : { ...state, where: 'bogus' }
      }
      return LETTER.test(c) ? openTag(state, c, false) : nextState({ ...state, where: 'data' }, c)
    case 'endTagOpen':
      if (LETTER.test(c)) return openTag(state, c, true)
      return nextState({ ...state, where: 'bogus' }, c)
    case 'tagName':
      return BLANK.test(c) || c === '/' || c === '>' ? afterTagName(state, c) : { ...state, element: state.element + c.toLowerCase() }
    case 'beforeName':
      return BLANK.test(c) || c === '/' || c === '>' ? inTag(state, c) : beginName(state, c)
    case 'name':
      if (BLANK.test(c)) return { ...state, where: 'afterName' }
      if (c === '=') return { ...state, where: 'beforeValue' }
      return c === '/' || c === '>' ? inTag(state, c) : { ...state, attribute: state.attribute + c.toLowerCase() }
    case 'afterName':
      if (BLANK.test(c)) return state
      if (c === '=') return { ...state, where: 'beforeValue' }
      return c === '/' || c === '>' ? inTag(state, c) : beginName(state, c)
    case 'gap':
      return BLANK.test(c) || c === '/' || c === '>' ? inTag(state, c) : unknown(state, 'an attribute that begins in a branch of the template and goes on after it')
    case 'beforeValue':
      if (BLANK.test(c)) return state
      if (c === '>') return inTag(state, c)
      return c === '"' || c === "'" ? { ...state, where: 'value', quote: c } : { ...state, where: 'bareValue' }
    case 'value': return inValue(state, c)
    case 'bareValue': return BLANK.test(c) || c === '>' ? inTag(state, c) : state
    case 'selfClosing': return c === '>' ? endTag(state, true) : nextState({ ...state, where: 'beforeName' }, c)
    case 'declaration': return inDeclaration(state, c)
    case 'bogus': return c === '>' ? { ...state, where: 'data' } : state
    case 'comment': return c === '-' || state.tail !== '' ? inComment(state, c) : state
    case 'text': return inRawText(state, c)
    case 'unknown': return state
  }
}

export function unknown (state: HtmlState, reason: string): HtmlState {
  return { ...state, where: 'unknown', reason, isNeutral: false }
}

function openTag (state: HtmlState, c: string, isEnd: boolean): HtmlState {
  return { ...state, where: 'tagName', element: c.toLowerCase(), isEnd }
}

/** Within `<title>` and the like in `<svg>` text alone is read in the same way wherever the browser thinks that it is. */
function afterTagName (state: HtmlState, c: string): HtmlState {
  const { integration, element, isEnd } = state
  if (integration === '' || (isEnd && element === integration)) return inTag(state, c)
  return unknown(state, `<${isEnd ? '/' : ''}${element}> in <${integration}> in <svg> or <math>`)
}

/** Behind the name of a tag, an attribute or its value. */
function inTag (state: HtmlState, c: string): HtmlState {
  if (c === '>') return endTag(state, false)
  return { ...state, where: c === '/' ? 'selfClosing' : 'beforeName', attribute: '', quote: '', url: URL_START }
}

function beginName (state: HtmlState, c: string): HtmlState {
  // Browsers take it for the first letter of a name. Nobody means that.
  if (c === '=') return unknown(state, 'an attribute without a name')
  return { ...state, where: 'name', attribute: c.toLowerCase(), url: URL_START }
}

function inValue (state: HtmlState, c: string): HtmlState {
  // The quote ends an entity, too.
  const url = isUrlAttribute(state.attribute) ? nextUrlState(state.url, c) : state.url
  if (c === state.quote) return { ...state, where: 'beforeName', attribute: '', quote: '', url: URL_START }
  return url === state.url ? state : { ...state, url }
}

function inDeclaration (state: HtmlState, c: string): HtmlState {
  if (c === '[') return unknown(state, 'a CDATA section')
  if (c === '-' && state.tail === '') return { ...state, tail: '-' }
  if (c === '-') return { ...state, where: 'comment', tail: 'start' }
  return nextState({ ...state, where: 'bogus', tail: '' }, c)
}

function inComment (state: HtmlState, c: string): HtmlState {
  const { tail } = state
  if (c === '>' && tail !== '' && tail !== '-') return { ...state, where: 'data', tail: '' }
  if (c === '-') return { ...state, tail: tail === 'start' ? 'start-' : tail === '' || tail === '--!' ? '-' : '--' }
  return { ...state, tail: c === '!' && tail === '--' ? '--!' : '' }
}

function inRawText (state: HtmlState, c: string): HtmlState {
  const { tail, nesting, script, isEnd } = nextRawText(state, c)
  // In `<svg>` these elements have no raw text: both readings are the same as long as no tag is in it.
  if (state.foreign !== '' && !isEnd && state.tail !== '' && tail.length <= state.tail.length) return unknown(state, `"<" in <${state.element}> in <svg>`)
  if (!isEnd) return { ...state, tail, nesting, script }
  return inTag({ ...state, where: 'tagName', isEnd: true, tail: '', nesting: 'plain', script: 'code' }, c)
}

/** At the `>` of a tag. */
function endTag (state: HtmlState, isSelfClosing: boolean): HtmlState {
  const { element, isEnd } = state
  const isNeutral = state.isNeutral && !NOT_NEUTRAL.some(names => names.has(element))
  const after: HtmlState = { ...state, where: 'data', element: '', isEnd: false, attribute: '', quote: '', url: URL_START, isNeutral }
  if (state.foreign !== '') return inForeign(after, element, isEnd, isSelfClosing)
  if (element === 'select') return { ...after, inSelect: !isEnd }
  // Another <select> within it would end, and this one would still be open.
  if (state.inSelect && element === 'template') return unknown(after, '<template> in a <select>')
  if (isEnd) return after
  if (FOREIGN.has(element)) return isSelfClosing ? after : { ...after, foreign: `/${element}` }
  if (ENDS_ALL.has(element)) return unknown(after, `what follows <${element}>`)
  if (!RAW.has(element)) return after
  if (state.inSelect && element !== 'script') return unknown(after, `<${element}> in a <select>`)
  return { ...after, where: 'text', element, tail: '', nesting: 'plain', script: 'code' }
}

/**
 * Browsers leave `<svg>` with the end of an element that it stands in (`<a><svg></a>`), which is not
 * followed here: what is read in both ways alike is accepted, and nothing else.
 */
function inForeign (after: HtmlState, element: string, isEnd: boolean, isSelfClosing: boolean): HtmlState {
  const { foreign, integration } = after
  const innermost = foreign.slice(foreign.lastIndexOf('/') + 1)
  if (isEnd) {
    if (element === innermost) return { ...after, foreign: foreign.slice(0, foreign.lastIndexOf('/')) }
    if (FOREIGN.has(element)) return unknown(after, `</${element}> in an open <${innermost}>`)
    if (element === 'p' || element === 'br') return unknown(after, `</${element}> in <${innermost}>`)
    return element === integration ? { ...after, integration: '' } : after
  }
  if (BREAKOUT.has(element) || ENDS_ALL.has(element) || element === 'select') return unknown(after, `<${element}> in <${innermost}>`)
  if (RAW.has(element)) {
    if (isSelfClosing) return unknown(after, `<${element}/> in <${innermost}>`)
    if (element === 'title') return { ...after, integration: element }
    if (element !== 'style' && element !== 'script') return unknown(after, `<${element}> in <${innermost}>`)
    return { ...after, where: 'text', element, tail: '', nesting: 'plain', script: 'unclear' }
  }
  if (isSelfClosing) return after
  if (FOREIGN.has(element)) return { ...after, foreign: `${foreign}/${element}` }
  return INTEGRATION.has(element) ? { ...after, integration: element } : after
}

/** What is read otherwise in `<svg>`, `<math>` and `<select>`. */
const NOT_NEUTRAL: ReadonlyArray<ReadonlySet<string>> = [RAW, BREAKOUT, FOREIGN, ENDS_ALL, new Set(['select', 'template'])]
