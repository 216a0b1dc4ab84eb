import type { Node } from '../ast.js'
import type { TemplateFilters } from '../filters.js'
import { type TemplateProblem, type TemplateProblemCode, type TemplateWarningCode, TemplateError, problemAt } from '../errors.js'
import { type HtmlContext, UnsafePlace } from '../html/context.js'
import type { SourceText, Span } from '../source-text.js'
import type { Code } from './frame.js'

/** A slot or an attribute that a template names. */
export interface Expected {
  /** Where it stands in a frame. */
  index: number
  /** Every placeholder of it is. */
  isOptional: boolean
  /** Of the first placeholder. */
  span: Span
  /** One of the placeholders stands in a special place. */
  isSpecial: boolean
}

/** A template that can be rendered. */
export interface Compiled {
  name: string
  source: SourceText
  code: Code
  slots: ReadonlyMap<string, Expected>
  attributes: ReadonlyMap<string, Expected>
  /** The output depends on more than slots and attributes. */
  isDynamic: boolean
  /** Tags within each other, those of partials included. */
  depth: number
  /** What the browser reads behind it. */
  end: HtmlContext
  /** Partials and `asset:/static/…`, also those of partials. */
  dependencies: ReadonlySet<string>
  /** Of its partials, too. */
  warnings: readonly TemplateProblem[]
  /** What it was compiled with. */
  partials: ReadonlyMap<string, Compiled>
}

/** Compiles what stands in a tag or slot; the context goes on behind it. */
export type CompileNodes = (nodes: Node[], html: HtmlContext) => Code

/** Gives the compiled partials of a template. */
export interface Library {
  filters: TemplateFilters
  /**
   * Null: there is none.
   * @param span of the tag that uses it
   * @param level tags that the tag stands in
   * @throws TemplateError for a partial that is broken, or uses what uses it
   */
  partial (name: string, span: Span, level: number): Compiled | null
  /** Names like the one that there is not, for the message. */
  similar (name: string): string | null
}

/** Tags within each other, from the page down to the last partial: more would exhaust the stack. */
export const DEEPEST = 500

/** One template that is being compiled. */
export class Unit {
  readonly source: SourceText
  readonly library: Library
  readonly slots = new Map<string, Expected>()
  readonly attributes = new Map<string, Expected>()
  readonly dependencies = new Set<string>()
  readonly warnings: TemplateProblem[]
  readonly partials = new Map<string, Compiled>()
  isDynamic = false
  /** Tags that are open. */
  level = 0
  depth = 0

  constructor (source: SourceText, library: Library, warnings: TemplateProblem[]) {
    this.source = source
    this.library = library
    this.warnings = warnings
  }

  fail (code: TemplateProblemCode, message: string, span: Span, related?: TemplateProblem): never {
    throw new TemplateError(problemAt(this.source, code, message, span, related))
  }

  warn (code: TemplateWarningCode, message: string, span: Span): void {
    this.warnings.push(problemAt(this.source, code, message, span))
  }

  /** What HTML says to something, as a problem of this place. */
  ask<T> (span: Span, question: () => T): T {
    try {
      return question()
    } catch (error) {
      if (!(error instanceof UnsafePlace)) throw error
      const start = Math.min(span.start + error.offset, span.end - 1)
      return this.fail('unsafe_context', `not in this place: ${error.message}`, { start, end: error.offset > 0 ? start + 1 : span.end })
    }
  }

  /** A placeholder of a slot or an attribute: where it is found in the frame. */
  expect (map: Map<string, Expected>, { name, isOptional, span }: { name: string, isOptional: boolean, span: Span }, isSpecial: boolean): number {
    const known = map.get(name)
    const index = known?.index ?? map.size
    map.set(name, { index, isOptional: (known?.isOptional ?? true) && isOptional, span: known?.span ?? span, isSpecial: (known?.isSpecial ?? false) || isSpecial })
    return index
  }
}
