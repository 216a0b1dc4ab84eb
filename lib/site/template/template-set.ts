import { type Compiled, DEEPEST as DEEPEST_TAGS, type Expected } from './compile/unit.js'
import { compile } from './compile/compile.js'
import { type Frame, MOST_OUTPUT, type RenderContext, failAt, run } from './compile/frame.js'
import { type TemplateProblem, TemplateError, problemAt } from './errors.js'
import { type TemplateFilters } from './filters.js'
import { isPartial, toTemplateName } from './names.js'
import { parse } from './parse/parse.js'
import { similarName } from './similar.js'
import { type Origin, SourceText, type Span } from './source-text.js'

export interface TemplateFile {
  /** `pages/index.html`, `partials/item.html`: what begins with `partials/` can be used by others. */
  name: string
  /** All of the file. */
  text: string
  /** Where the template begins in it, behind the front matter. @defaultValue 0 */
  bodyOffset?: number
  /** What it was made from, if a person has written something else than `text`: messages show places there. */
  origin?: Origin
}

export interface Rendered {
  html: string
  /**
   * What it was made of: the template and its partials by name (`pages/index.html`,
   * `partials/item.html`), assets as `asset:/static/…`. Partials in branches that were not taken
   * are among them.
   */
  deps: ReadonlySet<string>
  warnings: readonly TemplateProblem[]
}

/** Templates that were compiled together. It does not change: a change makes another set. */
export interface TemplateSet {
  /**
   * @param name as in `TemplateFile`
   * @throws TemplateError
   */
  render (name: string, data: Readonly<Record<string, unknown>>, context: RenderContext): Rendered
  has (name: string): boolean
  /** Partials by name and assets as `asset:/static/…`, also those that partials use. Empty for a template that is broken. */
  dependencies (name: string): ReadonlySet<string>
  /** Of the templates that can't be compiled, one each. They break only what uses them. */
  readonly problems: readonly TemplateProblem[]
}

/** What the templates of one set have in common. */
export interface Settings {
  filters: TemplateFilters
}

/** Partials that use each other, in a row: more is a mistake, and would exhaust the stack. */
const DEEPEST = 100

type Outcome = { compiled: Compiled } | { problem: TemplateProblem }

export class Templates implements TemplateSet {
  readonly settings: Settings
  readonly #files: ReadonlyMap<string, SourceText>
  readonly #outcomes = new Map<string, Outcome>()
  readonly #deps = new Map<string, ReadonlySet<string>>()
  /** Of those that are being compiled, each used by the one before it. */
  readonly #open: string[] = []
  /** Tags of those that are open where the next is used. */
  #level = 0
  #problems: TemplateProblem[] | null = null

  constructor (files: Iterable<TemplateFile>, settings: Settings, previous: Templates | undefined) {
    this.settings = settings
    this.#files = new Map([...files].map(({ name, text, bodyOffset = 0, origin }) => {
      const full = toTemplateName(name)
      return [full, new SourceText(full, text, bodyOffset, origin)]
    }))
    for (const name of this.#files.keys()) this.#outcome(name, previous)
  }

  has (name: string): boolean {
    return this.#files.has(toTemplateName(name))
  }

  get problems (): readonly TemplateProblem[] {
    this.#problems ??= this.#collectProblems()
    return this.#problems
  }

  dependencies (name: string): ReadonlySet<string> {
    const outcome = this.#outcomes.get(toTemplateName(name))
    return outcome !== undefined && 'compiled' in outcome ? outcome.compiled.dependencies : new Set()
  }

  render (name: string, data: Readonly<Record<string, unknown>>, context: RenderContext): Rendered {
    const compiled = this.#find(toTemplateName(name))
    const shared = { context, frontMatter: context.frontMatter ?? {}, assets: null as Set<string> | null, turns: 0 }
    const frame: Frame = { run: shared, data, slots: [], attributes: [], name: compiled.name, user: null }
    if (isPartial(compiled.name)) checkAlone(compiled, frame)
    const html = run(compiled.code, frame)
    if (html.length > MOST_OUTPUT) failAt(frame, compiled.source, 'too_large', `more than ${MOST_OUTPUT} characters`, { start: compiled.source.start, end: compiled.source.start })
    const deps = this.#depsOf(compiled)
    return { html, deps: shared.assets === null ? deps : new Set([...deps, ...shared.assets]), warnings: compiled.warnings }
  }

  #find (name: string): Compiled {
    const outcome = this.#outcomes.get(name)
    if (outcome === undefined) {
      const similar = similarName(name, this.#files.keys())
      const nothing = new SourceText(name, '', 0)
      throw new TemplateError(problemAt(nothing, 'ref_not_found', `there is no template "${name}"${similar === null ? '' : `; did you mean "${similar}"?`}`, { start: 0, end: 0 }))
    }
    if ('problem' in outcome) throw new TemplateError(outcome.problem)
    return outcome.compiled
  }

  #depsOf ({ name, dependencies }: Compiled): ReadonlySet<string> {
    const known = this.#deps.get(name)
    if (known !== undefined) return known
    const deps = new Set([name, ...dependencies])
    this.#deps.set(name, deps)
    return deps
  }

  #outcome (name: string, previous: Templates | undefined): Outcome | null {
    const known = this.#outcomes.get(name)
    const source = this.#files.get(name)
    if (known !== undefined || source === undefined) return known ?? null
    this.#open.push(name)
    const outcome = this.#reuse(source, previous) ?? this.#compile(source, previous)
    this.#open.pop()
    this.#outcomes.set(name, outcome)
    return outcome
  }

  /** What has the same text and the same partials is the same. */
  #reuse (source: SourceText, previous: Templates | undefined): Outcome | null {
    const outcome = previous === undefined ? undefined : previous.#outcomes.get(source.name)
    if (outcome === undefined || !('compiled' in outcome)) return null
    const { source: old, partials } = outcome.compiled
    if (old.text !== source.text || old.start !== source.start || old.origin?.text !== source.origin?.text) return null
    for (const [name, compiled] of partials) {
      if (this.#open.includes(name)) return null
      const partial = this.#outcome(name, previous)
      if (partial === null || !('compiled' in partial) || partial.compiled !== compiled) return null
    }
    return outcome
  }

  #compile (source: SourceText, previous: Templates | undefined): Outcome {
    const { filters } = this.settings
    try {
      return {
        compiled: compile(source, parse(source), {
          filters,
          similar: name => similarName(name, [...this.#files.keys()].filter(isPartial)),
          partial: (name, span, level) => this.#partial(source, name, span, level, previous)
        })
      }
    } catch (error) {
      // Of the engine: what is known before a render is already longer than a string can be.
      if (error instanceof RangeError) return { problem: problemAt(source, 'too_large', `it can't be put together: ${error.message}`, { start: source.start, end: source.start }) }
      if (!(error instanceof TemplateError)) throw error
      return { problem: error.problem }
    }
  }

  #partial (source: SourceText, name: string, span: Span, level: number, previous: Templates | undefined): Compiled | null {
    const at = this.#open.indexOf(name)
    if (at >= 0) {
      const cycle = [...this.#open.slice(at), name].join(' -> ')
      throw new TemplateError(problemAt(source, 'cycle', `partials use each other in a cycle: ${cycle}`, span))
    }
    if (this.#open.length > DEEPEST) throw new TemplateError(problemAt(source, 'too_deep', `partials that use each other in a row of more than ${DEEPEST}`, span))
    if (this.#level + level > DEEPEST_TAGS) throw new TemplateError(problemAt(source, 'too_deep', `more than ${DEEPEST_TAGS} tags within each other, those of the templates that use this one included`, span))
    this.#level += level
    const outcome = this.#outcome(name, previous)
    this.#level -= level
    if (outcome === null) return null
    if ('compiled' in outcome) return outcome.compiled
    const { problem } = outcome
    throw new TemplateError({ ...problem, usedBy: [...problem.usedBy ?? [], source.name] })
  }

  #collectProblems (): TemplateProblem[] {
    const roots = new Map<string, { problem: TemplateProblem, users: string[] }>()
    for (const [name, outcome] of this.#outcomes) {
      if (!('problem' in outcome)) continue
      const { problem } = outcome
      const root = roots.get(problem.file) ?? { problem, users: [] }
      roots.set(problem.file, root)
      if (name !== problem.file) root.users.push(name)
    }
    return [...roots.values()]
      .map(({ problem: { usedBy: _, ...problem }, users }) => ({ ...problem, ...(users.length > 0 && { usedBy: users.sort() }) }))
      .sort((a, b) => a.file < b.file ? -1 : 1)
  }
}

/** A partial that is rendered by itself has nobody that gives it attributes. */
function checkAlone ({ source, slots, attributes }: Compiled, frame: Frame): void {
  const lacking = (expected: ReadonlyMap<string, Expected>, isGiven: (name: string) => boolean): [string, Expected] | undefined =>
    [...expected].find(([name, { isOptional }]) => !isOptional && !isGiven(name))
  const attribute = lacking(attributes, () => false)
  if (attribute !== undefined) failAt(frame, source, 'missing_attrs', `rendered by itself, the partial has no attribute "${attribute[0]}"`, attribute[1].span)
  const slot = lacking(slots, name => Object.hasOwn(frame.run.frontMatter, name))
  if (slot !== undefined) failAt(frame, source, 'missing_slots', `rendered by itself, the partial has no slot "${slot[0]}": neither filled nor in the front matter`, slot[1].span)
}
