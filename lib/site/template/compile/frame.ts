import { type TemplateProblem, type TemplateProblemCode, TemplateError, problemAt } from '../errors.js'
import type { SafeHtml } from '../safe-html.js'
import type { SourceText, Span } from '../source-text.js'

/** What a render gets from outside besides data. */
export interface RenderContext {
  /** `/static/css/app.css` → the URL to load it from. Throws for what is no asset. */
  asset (path: string): string
  /** The attributes of an `<% img %/>` → its HTML, which is trusted. Throws for what is no image. */
  image (attributes: Record<string, string>): string
  /** The mark of a hole, which the core fills per request. Without it `<% hole %/>` is an error. */
  hole? (name: string): string
  /** Of the page: fills slots that nothing else fills, and `{{= path }}` that `data` does not know. */
  frontMatter?: Readonly<Record<string, unknown>>
}

/** An attribute in the frame of a partial: text with its entities, or markup that code vouches for. */
export type Argument = string | SafeHtml

/** What all templates of one render share. */
export interface Run {
  context: RenderContext
  frontMatter: Readonly<Record<string, unknown>>
  /** Assets whose path only the render knew. */
  assets: Set<string> | null
  /** Partials and turns of loops so far. */
  turns: number
}

/** Partials and turns of loops of one render: more is a list without an end, or partials that double each other. */
export const MOST_TURNS = 1_000_000
/** Characters of one part of the output. */
export const MOST_OUTPUT = 10_000_000

/** What one template is rendered with. Slots and attributes stand in the order in which it names them. */
export interface Frame {
  run: Run
  data: object
  slots: ReadonlyArray<string | undefined>
  attributes: ReadonlyArray<Argument | undefined>
  name: string
  /** Of the template that uses this one. */
  user: Frame | null
}

/** A part of the output: known now, or of each render. */
export type Code<T = string> = T | ((frame: Frame) => T)

export function isConstant<T extends Argument> (code: Code<T>): code is T {
  return typeof code !== 'function'
}

export function run<T extends Argument> (code: Code<T>, frame: Frame): T {
  return typeof code === 'function' ? code(frame) : code
}

/** One after the other, what is known now as one string. */
export function concatenate (codes: Array<Code>): Code {
  const merged: Code[] = []
  for (const code of codes) {
    const last = merged.at(-1)
    if (code === '') continue
    if (typeof code === 'string' && typeof last === 'string') merged[merged.length - 1] = last + code
    else merged.push(code)
  }
  const [first = '', ...rest] = merged
  if (rest.length === 0) return first
  return frame => {
    let output = ''
    for (let index = 0; index < merged.length; index++) {
      const code = merged[index] as Code
      output += typeof code === 'string' ? code : code(frame)
    }
    return output
  }
}

/** Counts a partial or a turn of a loop, and looks at what has come of them so far. */
export function countTurn (frame: Frame, output: string, source: SourceText, span: Span): void {
  if (++frame.run.turns > MOST_TURNS) failAt(frame, source, 'too_large', `more than ${MOST_TURNS} partials and turns of loops in one render`, span)
  if (output.length > MOST_OUTPUT) failAt(frame, source, 'too_large', `more than ${MOST_OUTPUT} characters`, span)
}

/** Ends a render at a place of a template, with the way that led there. */
export function failAt (frame: Frame, source: SourceText, code: TemplateProblemCode, message: string, span: Span, { related, cause }: { related?: TemplateProblem | undefined, cause?: unknown } = {}): never {
  const usedBy: string[] = []
  for (let { user } = frame; user !== null; user = user.user) usedBy.push(user.name)
  const problem = problemAt(source, code, message, span, related)
  throw new TemplateError({ ...problem, ...(usedBy.length > 0 && { usedBy }) }, cause === undefined ? undefined : { cause })
}
