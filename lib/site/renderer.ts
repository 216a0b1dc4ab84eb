import type { FastifyBaseLogger, FastifyReply } from 'fastify'
import type { CollectionItem, DataOf } from '../../types/site.js'
import type { DevOverlay } from './development.js'
import { builtInPage, problemAsHtml } from './error-pages.js'
import { refersToDev } from './dev-prefix.js'
import { DevInPage } from './errors.js'
import type { FilePage } from './content/index.js'
import { explainFailure } from '../pages/render.js'
import { rawPath } from './paths.js'
import { tagOf } from './freshness/index.js'
import type { SiteFiles } from './site-files.js'
import { SafeHtml, TemplateError, type RenderContext, type TemplateProblem } from './template/index.js'

export interface RendererOptions {
  files: SiteFiles
  log: FastifyBaseLogger
  /** Resolves `{{+ /static/… }}` and `<% img %>`. */
  assets: Pick<RenderContext, 'asset' | 'image'>
  /** What every template sees. */
  common: (page: DataOf) => Record<string, unknown>
  /** Only in development. */
  overlay: DevOverlay | null
}

export interface RenderedPage {
  html: string
  /** What it is made of: names of templates and assets, `collection:<name>`, `page:<path>`. */
  deps: ReadonlySet<string>
}

const HTML = 'text/html; charset=utf-8'

/** Templates and data → answers. */
export class Renderer {
  /** Told of each page that can't be rendered. */
  onFailure: ((path: string, error: Error) => void) | null = null
  readonly #options: RendererOptions
  readonly #warned = new WeakSet<TemplateProblem>()
  /** By the templates that they were made of. */
  readonly #errorPages = new WeakMap<object, Map<number, string>>()

  constructor (options: RendererOptions) {
    this.#options = options
  }

  /**
   * `path`: of the page that it is for, or null.
   *
   * @throws TemplateError
   */
  render (name: string, path: string | null, given: Record<string, unknown> = {}, frontMatter?: Readonly<Record<string, unknown>>): RenderedPage {
    const { files, assets, common } = this.#options
    const { templates } = files.snapshot
    const data = withOwn(withOwn({}, common({ path }), frontMatter), given)
    const used = new Set(depsOf(data, files))
    const values = files.collectionsAsData(name => { used.add(`collection:${name}`) })
    const { html, deps, warnings } = templates.render(files.templateName(name), withOwn(values, data), {
      ...assets,
      ...(frontMatter === undefined ? {} : { frontMatter })
    })
    for (const warning of warnings) this.#warn(warning)
    return { html, deps: new Set([...deps, ...used]) }
  }

  /** @throws TemplateError */
  renderFile (page: FilePage): RenderedPage {
    return this.render(page.template, page.url, { page: { ...page.data, url: page.url, toc: page.toc } }, page.frontMatter)
  }

  /** The body of an item, whose tags are those of its Markdown. */
  renderItem (template: string): SafeHtml {
    const { files, assets } = this.#options
    return new SafeHtml(files.snapshot.templates.render(template, {}, assets).html)
  }

  /** `reply.page()`. */
  sendPage (reply: FastifyReply, name: string, data?: Record<string, unknown>): FastifyReply {
    return this.#send(reply, path => this.render(name, path, data))
  }

  sendFile (reply: FastifyReply, page: FilePage): FastifyReply {
    if (page.revalidate !== null) reply.isr.ttl(page.revalidate)
    return this.#send(reply, () => this.renderFile(page))
  }

  /** `404.html` or `500.html` (or `.md`) of the site, rendered once for as long as nothing changes; or a page of our own. */
  sendError (reply: FastifyReply, status: 404 | 500, problem: TemplateProblem | null = null): FastifyReply {
    reply.code(status).type(HTML)
    const { overlay } = this.#options
    if (problem !== null && overlay !== null) return reply.send(builtInPage(status, problemAsHtml(problem) + overlay.failed(reply.request.raw.url ?? '/', problem)))
    return reply.send(this.#errorPage(status))
  }

  #send (reply: FastifyReply, render: (path: string) => RenderedPage): FastifyReply {
    const { request } = reply
    const { files, overlay } = this.#options
    const path = rawPath(request.raw.url ?? '/')
    try {
      const { html, deps } = render(path)
      if (request.isrRender?.reason === 'build' && refersToDev(html)) throw new DevInPage(path)
      overlay?.rendered(request.raw.url ?? '/', deps)
      files.remember(path, deps)
      reply.isr.tags(...[...deps, `page:${path}`].map(tagOf))
      return reply.type(HTML).send(html)
    } catch (error) {
      return this.#fail(reply, path, error as Error)
    }
  }

  /** The log gets all of it, the visitor nothing. A page that was once good is served on by the core. */
  #fail (reply: FastifyReply, path: string, error: Error): FastifyReply {
    const problem = problemOf(error)
    const reason = problem === null ? error.message : inOneLine(problem)
    const what = `the page ${path} could not be rendered: ${reason}`
    // The stack of an error of our own leads into this plugin; place and frame lead to the mistake.
    if (problem !== null) {
      const { code, file, line, column, frame } = problem
      this.#options.log.error({ page: path, code, file, line, column, frame }, what)
    } else if (isOurs(error)) this.#options.log.error({ page: path }, what)
    else this.#options.log.error({ page: path, err: error }, what)
    explainFailure(reply.request, reason)
    this.onFailure?.(path, error)
    return this.sendError(reply, 500, problem)
  }

  /** Once for each place. */
  #warn (warning: TemplateProblem): void {
    if (this.#warned.has(warning)) return
    this.#warned.add(warning)
    const { code, file, line, column, message } = warning
    this.#options.log.warn({ code, file, line, column }, `${file}:${line}:${column} ${message}`)
  }

  #errorPage (status: 404 | 500): string {
    const { files, log } = this.#options
    const { snapshot } = files
    const made = this.#errorPages.get(snapshot) ?? new Map<number, string>()
    this.#errorPages.set(snapshot, made)
    const old = made.get(status)
    if (old !== undefined) return old
    const name = [`pages/${status}.html`, `pages/${status}.md`].find(name => snapshot.templates.has(name))
    let html = builtInPage(status)
    if (name !== undefined) {
      try {
        html = this.render(name, null, {}, snapshot.frontMatterOf(name)).html
      } catch (error) {
        log.error({ err: error }, `${name} could not be rendered: ${(error as Error).message}`)
      }
    }
    made.set(status, html)
    return html
  }
}

/** Getters stay getters. Names in `but` are left out: what is nearer says more. */
function withOwn (target: Record<string, unknown>, source: object, but: object = {}): Record<string, unknown> {
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(source))) {
    // Also of what is frozen: what comes behind it may be of the same name.
    if (!Object.hasOwn(but, name)) Object.defineProperty(target, name, { ...property, configurable: true })
  }
  return target
}

/** What the values of a page say about where they come from: an item is a page; what is of many items, a collection. */
function * depsOf (data: Record<string, unknown>, files: SiteFiles): Generator<string> {
  for (const value of Object.values(data)) {
    const giver = files.giverOf(value)
    const list = Array.isArray(value) ? value : (value as { items?: unknown } | null | undefined)?.items
    const collection = Array.isArray(list) ? giver ?? files.collectionOf(list[0]) : giver
    if (collection !== null) yield `collection:${collection}`
    else if (files.collectionOf(value) !== null) yield `page:${(value as CollectionItem).url}`
  }
}

/** Where the mistake is: a page fails with the body of an item that it shows. Null: in no template. */
export function problemOf (error: unknown): TemplateProblem | null {
  if (!(error instanceof TemplateError)) return null
  return problemOf(error.cause) ?? error.problem
}

function inOneLine ({ file, line, column, code, message }: TemplateProblem): string {
  return `${file}:${line}:${column} [${code}] ${message}`
}

function isOurs (error: Error & { code?: unknown }): boolean {
  return typeof error.code === 'string' && error.code.startsWith('FST_ISR_ERR_')
}
