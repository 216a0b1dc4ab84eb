/**
 * Where in a script text stands, as far as values need it: between tokens (`code`), in a string, in a
 * comment, or unclear for the rest of the script. JavaScript can't be told apart without a parser
 * once a `/` (division or regular expression?), a template literal or a comment of the first days of
 * scripts (`<!--`, `-->`, `#!`) was read.
 */
export type ScriptState =
  | 'code' | 'code /' | 'code -' | 'code --' | 'code #'
  | '"' | '"\\' | "'" | "'\\"
  | '//' | '/*' | '/* *'
  | 'unclear'

const LINE_END = /[\n\r\u2028\u2029]/

/** The state after one more character of the template. */
export function nextScriptState (state: ScriptState, character: string): ScriptState {
  switch (state) {
    case 'code': return inCode(character)
    case 'code /': return character === '/' ? '//' : character === '*' ? '/*' : 'unclear'
    case 'code -': return character === '-' ? 'code --' : inCode(character)
    case 'code #': return character === '!' ? 'unclear' : inCode(character)
    case 'code --': return character === '>' ? 'unclear' : character === '-' ? state : inCode(character)
    case '"': case "'": return inString(state, character)
    case '"\\': return '"'
    case "'\\": return "'"
    case '//': return LINE_END.test(character) ? 'code' : state
    case '/*': return character === '*' ? '/* *' : state
    case '/* *': return character === '/' ? 'code' : character === '*' ? state : '/*'
    case 'unclear': return state
  }
}

function inCode (character: string): ScriptState {
  switch (character) {
    case '"': case "'": return character
    case '/': return 'code /'
    case '-': return 'code -'
    case '#': return 'code #'
    case '`': return 'unclear'
    default: return 'code'
  }
}

function inString (quote: '"' | "'", character: string): ScriptState {
  if (character === quote) return 'code'
  if (character === '\\') return `${quote}\\`
  // No string goes on in the next line: what began it was no quote.
  return /[\n\r]/.test(character) ? 'unclear' : quote
}
