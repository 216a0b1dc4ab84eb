import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import path from 'node:path'
import type { EntryInfo, Inspection, OrderResult, TargetItem } from '../../types/index.js'
import { removeExport } from '../build/export.js'
import { readBuild, type Build } from '../build/manifest.js'
import { decode } from '../cache/codec.js'
import { entryFile } from '../cache/disk-tier.js'
import { deadlines, type Entry } from '../cache/entry.js'
import { Marks } from '../cache/marks.js'
import { LocalCoordinator } from '../cluster/local.js'
import { MarkLog } from '../cluster/mark-log.js'
import type { Action } from '../ops/endpoint.js'
import { whyServed } from '../ops/inspect.js'
import { pageAt } from '../pages/known.js'
import { metaOf } from '../pages/page.js'
import { readTargets, type CheckedTarget } from '../pages/targets.js'
import { infoOf } from '../pages/view.js'
import { CliError } from './cli-error.js'
import type { OrderAnswer, OrderTaker } from './order-answer.js'

const MAX_ENTRY = 256 * 1024 * 1024

/** Rows of the manifest that are read at once. */
const ROWS_AT_ONCE = 1000

/**
 * Orders by files alone: marks beside the pages, which running processes pick
 * up with their next heartbeat and later ones when they start.
 */
export class FileOrders implements OrderTaker {
  readonly #dir: string
  readonly #log: MarkLog
  readonly #warn: (message: string) => void

  private constructor (dir: string, warn: (message: string) => void) {
    this.#dir = dir
    this.#warn = warn
    this.#log = new MarkLog(path.join(dir, '.isr', 'marks'), () => true, (operation, error) => { warn(`the marks could not be ${operation === 'read' ? 'read' : 'written'}: ${error.message}`) })
  }

  static async open (dir: string, warn: (message: string) => void): Promise<FileOrders> {
    const facts = await stat(path.join(dir, '.isr')).catch(() => null)
    if (facts?.isDirectory() !== true) throw new CliError(`${dir} is no output directory: it has no folder .isr`, { hint: "It is the plugin's option 'dir', which a build or a running app has written to." })
    // Marks are readable by who wrote them: the server would never see those of somebody else.
    const uid = process.getuid?.()
    if (uid !== undefined && uid !== facts.uid) throw new CliError(`${dir} was written by another user (${facts.uid}), who could not read the marks of this one (${uid})`, { hint: 'Run this as the user that the app runs as, or use --url.' })
    return new FileOrders(dir, warn)
  }

  async give (action: Action, items: readonly TargetItem[]): Promise<OrderAnswer> {
    const targets = items.map(item => readTargets([item])[0]!)
    if (action === 'inspect') return { inspect: await this.#inspect(targets) }
    if (action === 'refresh') throw new CliError('refresh: rendering needs the running app, not only its files', { hint: "Use --url, or 'fastify-isr prerender' to build." })
    return { [action]: await this.#order(action === 'purge' ? 'hard' : 'soft', targets) }
  }

  async #order (kind: 'soft' | 'hard', targets: readonly CheckedTarget[]): Promise<OrderResult> {
    const coordinator = new LocalCoordinator(Date.now, this.#log)
    // The order must come after all that were given before, also by a clock that is ahead. It also
    // merges old files of marks: each run of this command leaves one.
    await coordinator.start({ mark () {} })
    const { epoch, degraded } = await coordinator.order(targets.map(({ tag }) => ({ kind, tag, deadline: kind === 'soft' ? Infinity : 0 })))
    await coordinator.close()
    // Read after the order: nothing that is wrong with it stands in the way of a purge.
    const build = await this.#build()
    const matched = build === null ? [] : rowsOf(build, targets)
    if (kind === 'hard' && build !== null) await this.#removeExports(build, matched)
    await build?.rows.close()
    return { epoch, matched: matched.length, degraded }
  }

  async #removeExports ({ pages, rows }: Build, matched: readonly number[]): Promise<void> {
    for (let from = 0; from < matched.length; from += ROWS_AT_ONCE) {
      const found = await rows.read(matched.slice(from, from + ROWS_AT_ONCE).map(row => pages.span(row)))
      for (const page of found) await this.#removeExport(page?.export ?? null)
    }
  }

  async #removeExport (file: string | null): Promise<void> {
    if (file === null) return
    await removeExport(this.#dir, file).catch((error: unknown) => { this.#warn(`${file} could not be removed: ${(error as Error).message}`) })
  }

  async #build (): Promise<Build | null> {
    try {
      return await readBuild(this.#dir)
    } catch (error) {
      this.#warn((error as Error).message)
      return null
    }
  }

  async #inspect (targets: readonly CheckedTarget[]): Promise<Inspection[]> {
    const build = await this.#build()
    if (build === null) throw new CliError(`there is no readable build in ${this.#dir}`)
    const marks = new Marks()
    for (const mark of await this.#log.readNew()) marks.add(mark)
    const found: Inspection[] = []
    for (const target of targets) {
      const rows = rowsOf(build, [target]).map(row => pageAt(build.pages, row))
      const url = 'path' in target.item ? target.item.path : ''
      // What was rendered on demand is in no manifest; its key is the path, if nothing tells variants apart.
      for (const { key, route } of rows.length > 0 ? rows : [{ key: url, route: null }]) found.push(await this.#inspectOne(build.head.buildId, { url, key, route }, marks))
    }
    await build.rows.close()
    return found
  }

  async #inspectOne (buildId: string, { url, key, route }: { url: string, key: string, route: string | null }, marks: Marks): Promise<Inspection> {
    const nothing = { url, key, route, cached: false, state: null, age: null, tier: null, tags: [], entry: null }
    let entry: Entry | null
    try {
      entry = await readEntry(path.join(this.#dir, '.isr', entryFile(buildId, key)), { key, buildId })
    } catch (error) {
      return { ...nothing, reasons: [`what is stored under this key is not used: ${(error as Error).message}`] }
    }
    if (entry === null) return { ...nothing, reasons: ['no entry is stored under this key on disk'] }
    const verdict = marks.judge(entry)
    if (verdict.kind === 'hard') return { ...nothing, reasons: ['it is purged: the next visit renders it'] }
    const info = infoAt(entry, route, verdict.kind === 'soft' ? verdict.deadline : null)
    const { state, age, tier, tags } = info
    return { url, key, route: info.route, cached: state !== 'expired', state, age, tier, tags, entry: info, reasons: whyServed(info, verdict.kind === 'soft') }
  }
}

function infoAt (entry: Entry, route: string | null, marked: number | null): EntryInfo {
  const at = deadlines(entry)
  if (marked !== null) Object.assign(at, { freshUntil: -Infinity, staleUntil: Math.min(at.staleUntil, marked) })
  const meta = metaOf(entry)
  return infoOf(entry, meta, { pattern: route ?? meta.route }, Date.now(), at, 'disk')
}

/** Null when there is none. Changes nothing, unlike a tier, which removes what it can't use. */
async function readEntry (file: string, expected: { key: string, buildId: string }): Promise<Entry | null> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (handle === null) return null
  try {
    const facts = await handle.stat()
    if (!facts.isFile() || facts.size > MAX_ENTRY) throw new Error('it is no regular file, or too large')
    return decode(await handle.readFile(), expected)
  } finally {
    await handle.close()
  }
}

function rowsOf ({ pages }: Build, targets: readonly CheckedTarget[]): number[] {
  return Array.from({ length: pages.size }, (_, row) => row).filter(row => targets.some(target => target.matches(pageAt(pages, row))))
}
