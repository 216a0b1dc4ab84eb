import createError from '@fastify/error'
import type { TemplateProblem as PublishedProblem } from '../../../types/site.js'
import type { SourceText, Span } from './source-text.js'

/** What can be wrong with a template. */
export type TemplateProblemCode =
  | 'cycle' | 'duplicate_attr' | 'duplicate_slot' | 'filter_failed' | 'hole_unavailable'
  | 'malformed_tag' | 'malformed_value' | 'missing_attrs' | 'missing_slots' | 'non_image_src' | 'not_iterable'
  | 'ref_not_found' | 'stray_content' | 'too_deep' | 'too_large' | 'unbalanced_branch' | 'unclosed_html' | 'unclosed_tag'
  | 'unexpected_slots' | 'unknown_filter' | 'unknown_tag' | 'unknown_value' | 'unprintable_value'
  | 'unresolved_asset' | 'unresolved_image_meta' | 'unsafe_context' | 'value_failed'

/** What is probably a mistake, but has a meaning. */
export type TemplateWarningCode = 'looks_like_placeholder' | 'stray_slot' | 'unknown_entity' | 'unused_attr'

/** As it is published, with its codes by name. In `problems` of a set, `usedBy` is all templates that can't be rendered because of it, sorted. */
export interface TemplateProblem extends PublishedProblem {
  code: TemplateProblemCode | TemplateWarningCode
  related?: TemplateProblem
}

export function problemAt (source: SourceText, code: TemplateProblem['code'], message: string, span: Span, related?: TemplateProblem): TemplateProblem {
  return { code, message, file: source.name, ...source.locate(span), ...(related !== undefined && { related }) }
}

/** As it stands in a terminal or a log. */
export function formatProblem ({ file, line, column, code, message, frame, related, usedBy }: TemplateProblem): string {
  return [
    `${file}:${line}:${column} [${code}] ${message}`,
    frame,
    ...(related === undefined ? [] : [`${related.file}:${related.line}:${related.column} ${related.message}`, related.frame]),
    ...(usedBy === undefined || usedBy.length === 0 ? [] : [`used by ${usedBy.join(', used by ')}`])
  ].join('\n')
}

const Coded = createError<[string]>('FST_ISR_ERR_SITE_TEMPLATE', '%s')

/**
 * A template that can't be rendered. `code` is `FST_ISR_ERR_SITE_TEMPLATE`, the kind is
 * `problem.code`; the message has the place, the lines around it and who uses the file.
 */
export class TemplateError extends Coded {
  readonly problem: TemplateProblem

  constructor (problem: TemplateProblem, options?: { cause: unknown }) {
    super(formatProblem(problem))
    if (options !== undefined) this.cause = options.cause
    this.name = 'TemplateError'
    this.problem = problem
  }
}
