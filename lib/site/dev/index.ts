// Only for development, and only reached by `await import()`: nothing of this folder is loaded, let alone served,
// where visitors are.
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { DEV_PREFIX } from '../dev-prefix.js'
import { DevInProduction } from '../errors.js'
import { DevPages, type DevChange, type Problem } from './pages.js'
import { addRoutes, eventId } from './routes.js'
import { Streams } from './streams.js'
import { watch } from './watch.js'

export { watch } from './watch.js'
export type { Change, OnChange, WatchOptions } from './watch.js'
export type { DevChange, Problem } from './pages.js'

export interface DevOptions {
  /** Folders; absolute, or relative to the working directory. */
  watch: readonly string[]
  /**
   * Called with the absolute paths of files that were added, changed or removed. Tells what that means for pages.
   * Never called twice at the same time. A rejection is shown in every browser.
   */
  onChange: (paths: string[]) => Promise<DevChange>
  /**
   * What a page was made of when it was rendered last, by the raw URL of its request (path and query): names as
   * `changed` has them, or cache tags of these. Null: unknown, every change reloads it.
   */
  depsOf: (page: string) => ReadonlySet<string> | null
  /** Milliseconds between looks at the files, where events of the operating system don't arrive; true: 300. */
  poll?: number | boolean | undefined
  /** Names, without ports, under which other machines may follow what happens here. Default: none, this machine alone. */
  hosts?: readonly string[] | undefined
}

export interface Dev {
  /** The script tag for every page. */
  readonly partial: string
  /**
   * A page could not be rendered: it is watched until it can be.
   *
   * @returns the script tag for the error page, which reloads it then
   */
  failed (page: string, problem: Problem): string
  /** Ends all streams and watches; the app's end does so, too. */
  close (): void
}

/**
 * Live reload: watches the files and tells browsers, over server-sent events, what to do about a change. Call it
 * before what is kept of the files is read: changes from then on are told.
 *
 * @throws FST_ISR_ERR_SITE_DEV with NODE_ENV=production
 */
export async function startDev (app: FastifyInstance, options: DevOptions): Promise<Dev> {
  if (process.env['NODE_ENV'] === 'production') throw new DevInProduction()

  const boot = randomUUID()
  const streams = new Streams()
  const pages = new DevPages(options.depsOf)
  /** Changes that nobody has dealt with: they come along with the next ones. */
  const lost = new Set<string>()

  const watcher = await watch(options.watch, async changes => {
    for (const { path } of changes) lost.add(path)
    const paths = [...lost]
    try {
      const change = await options.onChange(paths)
      lost.clear()
      for (const [page, news] of pages.change(change, streams.pages())) streams.tell(page, eventId(boot, pages.now), news)
      app.log.debug({ paths, changed: change.changed, problem: change.error?.message }, 'live reload: files have changed')
    } catch (error) {
      app.log.error({ err: error, paths }, 'live reload: the changed files could not be dealt with')
      for (const page of streams.pages()) {
        pages.failed(page, { message: (error as Error).message, file: paths.join('\n'), frame: '' })
        streams.tell(page, eventId(boot, pages.now), pages.missed(page, null))
      }
    }
  }, {
    ...(options.poll === undefined ? {} : { poll: options.poll }),
    warn: (message, error) => { app.log.warn({ err: error }, `live reload: ${message}`) }
  })

  function close (): void {
    watcher.close()
    streams.close()
  }

  const client = await readFile(new URL('./browser/client.js', import.meta.url))
  await app.register(async instance => {
    instance.addHook('preClose', async () => { close() })
    instance.addHook('onClose', async () => { close() })
    addRoutes(instance, { boot, client, hosts: options.hosts ?? [], pages, streams })
  })

  const source = `${app.prefix}${DEV_PREFIX}client.js`
  return {
    partial: tag(source),
    failed (page, problem) {
      pages.failed(page, problem)
      return tag(`${source}?failed`)
    },
    close
  }
}

function tag (source: string): string {
  return `<script type="module" async src="${source}"></script>`
}
