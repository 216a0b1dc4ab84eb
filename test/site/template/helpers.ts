import {
  type RenderContext, type Rendered, TemplateError, type TemplateFilters, type TemplateProblem, type TemplateSet, compileTemplates
} from '../../../lib/site/template/index.js'

export interface Given {
  partials?: Record<string, string>
  data?: Record<string, unknown>
  frontMatter?: Record<string, unknown>
  filters?: TemplateFilters
  context?: Partial<RenderContext>
}

export function contextOf ({ frontMatter, context }: Given = {}): RenderContext {
  return {
    asset: path => path.replace(/\.(\w+)$/, '.abc.$1'),
    image: ({ src, alt }) => `<img src="${src}" alt="${alt}">`,
    ...(frontMatter !== undefined && { frontMatter }),
    ...context
  }
}

/** A set of one page, `pages/index.html`, and the partials (`item.html`) that it may use. */
export function setOf (page: string, { partials = {}, filters = {} }: Given = {}): TemplateSet {
  return compileTemplates([
    { name: 'pages/index.html', text: page },
    ...Object.entries(partials).map(([name, text]) => ({ name: `partials/${name}`, text }))
  ], { filters })
}

export function renderPage (page: string, given: Given = {}): Rendered {
  return setOf(page, given).render('pages/index.html', given.data ?? {}, contextOf(given))
}

export function render (page: string, given: Given = {}): string {
  return renderPage(page, given).html
}

/** What rendering a page is refused with. */
export function problemOf (page: string, given: Given = {}): TemplateProblem {
  return caught(() => render(page, given)).problem
}

export function caught (act: () => unknown): TemplateError {
  try {
    act()
  } catch (error) {
    if (error instanceof TemplateError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** The kind of problem, or what was rendered. */
export function outcomeOf (act: () => string): string {
  try {
    return act()
  } catch (error) {
    if (error instanceof TemplateError) return error.problem.code
    throw error
  }
}
