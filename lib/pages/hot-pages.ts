import path from 'node:path'
import { readRegularFile, writeFileAtomically } from '../cache/atomic-file.js'
import { isRecord } from '../cache/codec.js'
import type { MemoryTier } from '../cache/memory-tier.js'
import type { Held } from '../cache/source.js'
import { isPageKey } from './known.js'
import type { PageView } from './view.js'

/** More than fits into most memories; the file stays small. */
const MOST_PAGES = 10_000
const MOST_BYTES = 4 * 1024 * 1024
/** What an hour ago was hot counts for little when something else is now. */
const DECAY = 0.9

export interface HotPagesOptions {
  dir: string
  memory: MemoryTier<Held<PageView>>
  /** Whether it may be written now: where there is no build, nothing is. */
  isKept: () => boolean
}

/**
 * Which pages are asked for most, kept over a restart so that memory is warmed
 * with them first. Nothing but an order is ever taken from the file: what it
 * names is loaded if the build has it, from where all pages are loaded.
 */
export class HotPages {
  readonly #options: HotPagesOptions
  #scores = new Map<string, number>()
  #writing: Promise<void> = Promise.resolve()

  constructor (options: HotPagesOptions) {
    this.#options = options
  }

  /** What an earlier process has left, if it can be read. */
  async load (): Promise<void> {
    try {
      const { bytes } = await readRegularFile(this.#file, MOST_BYTES)
      this.#scores = new Map(readScores(JSON.parse(bytes.toString())).slice(0, MOST_PAGES))
    } catch {
      // There is none, or none that is of use: memory is warmed with what is new.
    }
  }

  /** Keys, the hottest first. */
  hottest (): string[] {
    this.#count()
    return sorted(this.#scores).map(([key]) => key)
  }

  /** Best effort. Nothing is written when nobody has asked for anything since. */
  async save (): Promise<void> {
    if (!this.#options.isKept() || !this.#count()) return
    const pages = sorted(this.#scores)
    for (const [key, score] of pages) this.#scores.set(key, score * DECAY)
    const text = `${JSON.stringify({ version: 1, pages: pages.map(([key, score]) => [key, Math.round(score * 100) / 100]) })}\n`
    if (text.length > MOST_BYTES) return
    this.#writing = this.#writing.then(() => writeFileAtomically(this.#file, text)).catch(() => {})
    await this.#writing
  }

  get #file (): string {
    return path.join(this.#options.dir, '.isr', 'hot.json')
  }

  /** Takes up what was asked for since the last time, and tells whether anything was. */
  #count (): boolean {
    const { memory } = this.#options
    let uses = 0
    for (const key of memory.keys()) {
      const view = isPageKey(key) ? memory.peek(key)?.view : undefined
      if (view === undefined || view.uses === 0) continue
      this.#scores.set(key, (this.#scores.get(key) ?? 0) + view.uses)
      uses += view.uses
      view.uses = 0
    }
    if (this.#scores.size > MOST_PAGES) this.#scores = keepHottest(this.#scores)
    return uses > 0
  }
}

function sorted (scores: ReadonlyMap<string, number>): [key: string, score: number][] {
  return [...scores].sort(([, a], [, b]) => b - a)
}

/** Without sorting them all, for memory may hold a million. */
function keepHottest (scores: ReadonlyMap<string, number>): Map<string, number> {
  const least = Float64Array.from(scores.values()).sort()[scores.size - MOST_PAGES] ?? 0
  const kept = new Map<string, number>()
  for (const [key, score] of scores) if (score > least) kept.set(key, score)
  for (const [key, score] of scores) if (score === least && kept.size < MOST_PAGES) kept.set(key, score)
  return kept
}

/** Anything else than what `save` writes is nothing. */
function readScores (value: unknown): [string, number][] {
  if (!isRecord(value) || value.version !== 1 || !Array.isArray(value.pages)) return []
  return (value.pages as unknown[]).filter((page): page is [string, number] => Array.isArray(page) && page.length === 2 &&
    typeof page[0] === 'string' && isPageKey(page[0]) && typeof page[1] === 'number' && Number.isFinite(page[1]) && page[1] >= 0)
}
