import type { HtmlState } from './html-state.js'
import { nextScriptState } from './script-state.js'

type RawText = Pick<HtmlState, 'tail' | 'nesting' | 'script'> & { isEnd: boolean }

/**
 * The raw text of an element (`<script>`, `<style>`, `<title>` …) after one more character. Scripts end
 * in a way of their own: `<!--` hides them, and a `<script` within that needs a `</script` of its own.
 */
export function nextRawText (state: HtmlState, c: string): RawText {
  const { element, nesting } = state
  const isScript = element === 'script'
  const script = isScript ? nextScriptState(state.script, c) : state.script
  const longer = state.tail + c.toLowerCase()
  if (/[\t\n\f\r />]/.test(c)) {
    if (state.tail === `</${element}`) {
      return nesting === 'double' ? { tail: '', nesting: 'escaped', script, isEnd: false } : { tail: '', nesting, script, isEnd: true }
    }
    if (isScript && nesting === 'escaped' && state.tail === '<script') return { tail: '', nesting: 'double', script, isEnd: false }
    if (isScript && nesting !== 'plain' && longer === '-->') return { tail: '', nesting: 'plain', script, isEnd: false }
  }
  if (isScript && nesting === 'plain' && longer === '<!--') {
    // Between tokens, JavaScript takes it for the begin of a comment up to the end of the line.
    return { tail: '--', nesting: 'escaped', script: script === 'code --' ? 'unclear' : script, isEnd: false }
  }
  return { tail: nextTail(longer, c, element, nesting), nesting, script, isEnd: false }
}

/** What may become one of the marks that count, or nothing. */
function nextTail (longer: string, c: string, element: string, nesting: HtmlState['nesting']): string {
  const marks = [`</${element}`]
  if (element === 'script') marks.push(...(nesting === 'plain' ? ['<!--'] : nesting === 'escaped' ? ['<script', '--'] : ['--']))
  if (marks.some(mark => mark.startsWith(longer))) return longer
  if (c === '<') return '<'
  return c === '-' && marks.includes('--') ? (longer.endsWith('--') ? '--' : '-') : ''
}
