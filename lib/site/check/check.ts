import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { BuildRow } from '../../../types/index.js'
import type { LinkProbe, ProbeAnswer } from '../link-probe.js'
import { problemOf, type Renderer } from '../renderer.js'
import type { SiteFiles } from '../site-files.js'
import type { TemplateProblem } from '../template/index.js'
import { placeOf } from './place.js'
import { referencesOf, type References } from './references.js'

export type CheckProblem = Pick<TemplateProblem, 'message' | 'file' | 'line' | 'column' | 'frame'> & { code: string }

export interface CheckReport {
  /** Pages rendered. */
  pages: number
  /** Different ones that lead to this site. */
  links: number
  problems: CheckProblem[]
}

export interface CheckOptions {
  app: FastifyInstance
  files: SiteFiles
  renderer: Renderer
  probe: LinkProbe
  baseUrl: URL | null
  /** Text of a file of the site, or null. */
  read (file: string): Promise<string | null>
}

interface Checked extends References {
  path: string
  /** Files that it may have its links from; the likely one first. */
  sources: string[]
}

/**
 * Renders every page that a build would, as a build does, and follows what
 * they refer to within the site. Nothing is left behind.
 */
export async function checkSite (options: CheckOptions): Promise<CheckReport> {
  const { files } = options
  const problems = new Map<string, CheckProblem>()
  const add = (problem: CheckProblem): void => { problems.set(`${problem.file}:${problem.line}:${problem.column} ${problem.message}`, problem) }
  for (const problem of await compileProblems(options)) add(problem)
  const { pages, failed, reasons } = await renderAll(options)
  for (const { path: at, error = '' } of failed) {
    const problem = problemOf(reasons.get(at))
    if (problem !== null) add(problem)
    // Of a file page the place is known already.
    else if (!files.has(at)) add({ code: 'page_failed', message: `the page ${at} could not be rendered: ${error}`, file: at, line: 1, column: 1, frame: '' })
  }
  const links = await followLinks(options, pages, failed, add)
  const sorted = [...problems.values()].sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line || a.column - b.column)
  return { pages: pages.length + failed.length, links, problems: sorted }
}

/** What can't be compiled, whether a page uses it or not, and what can't be rendered. */
async function compileProblems ({ files, renderer }: CheckOptions): Promise<CheckProblem[]> {
  await files.look()
  const { problems: others, templates, pages } = files.snapshot
  const problems: CheckProblem[] = [...others.map(asProblem), ...templates.problems]
  for (const page of pages.all()) {
    try {
      renderer.renderFile(page)
    } catch (error) {
      problems.push(problemOf(error) ?? asProblem(error as Error))
    }
  }
  return problems
}

function asProblem (error: Error & { file?: string, line?: number, column?: number, code?: string }): CheckProblem {
  const { file = '', line = 1, column = 1, code = 'error', message } = error
  return { code, message, file, line, column, frame: '' }
}

async function renderAll ({ app, files, renderer }: CheckOptions): Promise<{ pages: Checked[], failed: BuildRow[], reasons: ReadonlyMap<string, Error> }> {
  const reasons = new Map<string, Error>()
  renderer.onFailure = (at, error) => { reasons.set(at, error) }
  const itemFiles = new Map(Array.from(files.snapshot.items.values()).flat().map(({ url, file }) => [url, file]))
  const dir = await mkdtemp(path.join(tmpdir(), 'fastify-isr-check-'))
  try {
    const report = await app.isr.prerender({ dir, compress: false })
    const pages: Checked[] = []
    for (const row of report.pages) {
      if (row.error !== undefined || row.export == null || !row.export.endsWith('.html')) continue
      const html = await readFile(path.join(dir, row.export), 'utf8')
      const item = itemFiles.get(row.path)
      pages.push({ path: row.path, sources: [...(item === undefined ? [] : [item]), ...sourcesOf(row.tags ?? [])], ...referencesOf(html) })
    }
    return { pages, failed: report.pages.filter(row => row.error !== undefined), reasons }
  } finally {
    renderer.onFailure = null
    await rm(dir, { recursive: true, force: true })
  }
}

/** Templates of a page, by its tags: pages before partials. */
function sourcesOf (tags: readonly string[]): string[] {
  return tags.filter(tag => tag.startsWith('tpl:') && !tag.startsWith('tpl:asset:')).map(tag => tag.slice(4)).sort((a, b) => Number(a.startsWith('partials/')) - Number(b.startsWith('partials/')))
}

async function followLinks ({ probe, files, baseUrl, read }: CheckOptions, pages: Checked[], failed: BuildRow[], add: (problem: CheckProblem) => void): Promise<number> {
  const origin = baseUrl?.origin ?? 'http://site.invalid'
  const anchorsOf = new Map<string, ReadonlySet<string> | null>(pages.map(page => [page.path, page.anchors]))
  // Told already: what leads to them is right.
  for (const { path: at } of failed) anchorsOf.set(at, null)
  const broken = new Set<string>()
  // A link between Markdown files is another one there.
  const written = (file: string, link: string): string => files.snapshot.links.get(file)?.find(({ url }) => url === link)?.href ?? link
  const links = new Set<string>()
  for (const page of pages) {
    for (const link of page.links) {
      if (!URL.canParse(link, origin + page.path)) {
        add({ code: 'broken_link', message: `'${link}' is no URL`, ...await placeOf(link, page.sources, { read, written }) })
        continue
      }
      const url = new URL(link, origin + page.path)
      if (url.origin !== origin) continue
      links.add(url.pathname + url.search + url.hash)
      if (!anchorsOf.has(url.pathname) && !broken.has(url.pathname)) {
        const answer = await probe.ask(url.pathname + url.search)
        if (isBroken(answer)) broken.add(url.pathname)
        else anchorsOf.set(url.pathname, String(answer.headers['content-type']).startsWith('text/html') ? referencesOf(answer.body).anchors : null)
      }
      if (broken.has(url.pathname)) {
        // Told already, with what to do about it.
        if (page.sources.some(file => files.snapshot.links.get(file)?.some(({ url, isLost }) => isLost && url === link) === true)) continue
        add({ code: 'broken_link', message: `nothing answers '${url.pathname}' (on ${page.path})`, ...await placeOf(link, page.sources, { read, written }) })
        continue
      }
      const anchor = decode(url.hash.slice(1))
      // The empty one and 'top' lead to the beginning of every page.
      if (anchor === '' || anchor === 'top' || anchorsOf.get(url.pathname)?.has(anchor) !== false) continue
      add({ code: 'broken_anchor', message: `${url.pathname} has no element with the id '${anchor}' (linked on ${page.path})`, ...await placeOf(link, page.sources, { read, written }) })
    }
  }
  return links.size
}

/** Who asks for a password first is there. */
function isBroken ({ statusCode }: ProbeAnswer): boolean {
  return statusCode >= 400 && statusCode !== 401 && statusCode !== 403
}

function decode (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
