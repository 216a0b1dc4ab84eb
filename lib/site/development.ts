import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { SiteChange } from '../../types/site.js'
import { publicName } from './assets/kinds.js'
import type { Dev } from './dev/index.js'
import type { Mounts } from './source/source.js'
import type { TemplateProblem } from './template/index.js'

/** Pages whose parts are remembered. */
const MOST_PAGES = 1000

export interface DevelopmentOptions {
  /** Absolute path of the site. */
  root: string
  /** Folders of the site that lie elsewhere. */
  mounts: Mounts
  staticPrefix: string | null
  poll: number | null
  /** Names under which other machines may follow. */
  hosts: readonly string[]
  /** Looks at files of the site (relative names); tells what that changes. */
  look (files: string[]): Promise<SiteChange>
  /** What can't be compiled at the moment. */
  problem (): TemplateProblem | null
}

/** What renders tell the live reload, and what it gives them. */
export interface DevOverlay {
  /** The script tag of every page. */
  readonly script: string
  rendered (page: string, deps: Iterable<string>): void
  /** Returns the script tag of the error page. */
  failed (page: string, problem: TemplateProblem): string
}

/**
 * Live reload, if the options ask for it. What it needs is loaded here and
 * nowhere else: in production none of it is in memory.
 *
 * @throws FST_ISR_ERR_SITE_DEV
 */
export async function startDevelopment (app: FastifyInstance, options: DevelopmentOptions): Promise<DevOverlay> {
  const { startDev } = await import('./dev/index.js')
  const deps = new Map<string, ReadonlySet<string>>()
  const folders = foldersOf(options)
  const dev: Dev = await startDev(app, {
    watch: folders.map(({ folder }) => folder),
    ...(options.poll === null ? {} : { poll: options.poll }),
    hosts: options.hosts,
    depsOf: page => deps.get(page) ?? null,
    async onChange (paths) {
      const files = paths.flatMap(file => namesOf(file, folders))
      const { changed, removed } = await options.look(files)
      const assets = files.map(file => assetOf(file, options.staticPrefix)).filter(name => name !== null)
      return { changed: [...changed, ...removed, ...assets], error: options.problem() ?? undefined }
    }
  })
  return {
    script: dev.partial,
    rendered (page, names) {
      deps.delete(page)
      deps.set(page, new Set(names))
      const [oldest] = deps.keys()
      if (deps.size > MOST_PAGES && oldest !== undefined) deps.delete(oldest)
    },
    failed: (page, problem) => dev.failed(page, problem)
  }
}

interface Folder {
  /** Absolute path. */
  folder: string
  /** What its files are called within the site; empty for the site itself, or with a slash at its end. */
  prefix: string
}

/** The site, and where else files of it come from, as far as that is on disk. */
function foldersOf ({ root, mounts }: DevelopmentOptions): Folder[] {
  const folders: Folder[] = [{ folder: root, prefix: '' }]
  for (const [at, source] of mounts) {
    const folder = source.locate('')
    if (folder !== null) folders.push({ folder, prefix: `${at}/` })
  }
  return folders
}

/** One folder may lie in another: a file has a name in each. */
function namesOf (file: string, folders: readonly Folder[]): string[] {
  return folders
    .filter(({ folder }) => file.startsWith(folder + path.sep))
    .map(({ folder, prefix }) => prefix + path.relative(folder, file).split(path.sep).join('/'))
}

/** `assets/css/app.scss` → `asset:/static/css/app.css`. */
function assetOf (file: string, prefix: string | null): string | null {
  return prefix === null || !file.startsWith('assets/') ? null : `asset:${prefix}${publicName(file.slice('assets/'.length))}`
}
