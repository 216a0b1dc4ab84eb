import { type TemplateFilters, JSON_FILTER, builtInFilters } from './filters.js'
import { FilterInvalid } from '../errors.js'
import { type TemplateFile, type TemplateSet, Templates } from './template-set.js'

export type { RenderContext } from './compile/frame.js'
export { formatProblem, TemplateError, type TemplateProblem, type TemplateProblemCode, type TemplateWarningCode } from './errors.js'
export type { TemplateFilter, TemplateFilters } from './filters.js'
export { SafeHtml } from './safe-html.js'
export type { Rendered, TemplateFile, TemplateSet } from './template-set.js'

export interface TemplateOptions {
  /** Own filters of `{{= value | name }}`; what they return is escaped like any value. Each takes the value alone. */
  filters?: TemplateFilters
  /** Of the filter `date`. @defaultValue 'en-US' */
  language?: string
  /** The set before a change: what has not changed is not compiled again. */
  previous?: TemplateSet
}

/** The built-in filters of a language, with the own ones. Told apart by their functions. */
interface Chosen { language: string, own: TemplateFilters, filters: TemplateFilters }

const chosen = new WeakMap<TemplateSet, Chosen>()

/**
 * Compiles templates to functions. It never throws for what is wrong with one of them: that is told
 * by `problems`, and thrown by `render` for the templates that are concerned.
 * @throws FST_ISR_ERR_SITE_FILTER for options
 */
export function compileTemplates (files: Iterable<TemplateFile>, { filters: own = {}, language = 'en-US', previous }: TemplateOptions = {}): TemplateSet {
  const before = previous === undefined ? undefined : chosen.get(previous)
  const isSame = before !== undefined && before.language === language && isEqual(before.own, own)
  const filters = isSame ? before.filters : makeFilters(own, language)
  const set = new Templates(files, { filters }, isSame && previous instanceof Templates ? previous : undefined)
  chosen.set(set, { language, own, filters })
  return set
}

function makeFilters (own: TemplateFilters, language: string): TemplateFilters {
  for (const [name, filter] of Object.entries(own)) {
    if (!/^[A-Za-z_]\w*$/.test(name)) throw new FilterInvalid(name, 'is no name: use letters, digits and "_"')
    if (name === JSON_FILTER) throw new FilterInvalid(name, 'is built in: in scripts nothing else is safe')
    if (typeof filter !== 'function') throw new FilterInvalid(name, `must be a function, got ${typeof filter}`)
  }
  return { ...builtInFilters(language), ...own }
}

function isEqual (one: TemplateFilters, other: TemplateFilters): boolean {
  const names = Object.keys(one)
  return names.length === Object.keys(other).length && names.every(name => one[name] === other[name])
}
