import { type TemplateProblem, type TemplateProblemCode, type TemplateWarningCode, TemplateError, problemAt } from '../errors.js'
import { isPartial } from '../names.js'
import type { SourceText, Span } from '../source-text.js'

/** What the parts of the parser share: the text, how far it is read, and what was found to be odd. */
export class Reader {
  readonly source: SourceText
  readonly text: string
  /** Placeholders of slots and attributes mean something there, on pages they are text. */
  readonly isPartial: boolean
  readonly warnings: TemplateProblem[] = []
  position: number

  constructor (source: SourceText) {
    this.source = source
    this.text = source.text
    this.isPartial = isPartial(source.name)
    this.position = source.start
  }

  /** @param pattern sticky */
  match (pattern: RegExp, at = this.position): RegExpExecArray | null {
    pattern.lastIndex = at
    return pattern.exec(this.text)
  }

  fail (code: TemplateProblemCode, message: string, start: number, end: number, related?: TemplateProblem): never {
    throw new TemplateError(problemAt(this.source, code, message, { start, end }, related))
  }

  warn (code: TemplateWarningCode, message: string, span: Span): void {
    this.warnings.push(problemAt(this.source, code, message, span))
  }

  /** A second frame: its code is that of the problem that it belongs to. */
  related (code: TemplateProblemCode, message: string, span: Span): TemplateProblem {
    return problemAt(this.source, code, message, span)
  }
}
