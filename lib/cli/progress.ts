import type { BuildProgress } from '../../types/index.js'
import { count, formatDuration, printable, shorten, type Output, type Paint } from './format.js'

export interface Progress {
  update (progress: BuildProgress): void
  /** Takes the line away, so that something else can be printed. */
  clear (): void
}

export const silent: Progress = { update () {}, clear () {} }

const FRAME_MS = 80
const BAR_WIDTH = 24

/** One line that is drawn over and over. */
export class ProgressBar implements Progress {
  readonly #stream: Output
  readonly #paint: Paint
  readonly #now: () => number
  #drawnAt = -Infinity
  #isDrawn = false

  constructor (stream: Output, paint: Paint, now: () => number = () => performance.now()) {
    this.#stream = stream
    this.#paint = paint
    this.#now = now
  }

  update (progress: BuildProgress): void {
    const now = this.#now()
    const isLast = progress.isTotalKnown && progress.done === progress.total
    if (now - this.#drawnAt < FRAME_MS && !isLast) return
    this.#drawnAt = now
    this.#isDrawn = true
    // A share of a total that still grows would tell nothing: it is always nearly done.
    this.#stream.write(`\r\x1b[2K${progress.isTotalKnown ? this.#bar(progress) : this.#count(progress)}`)
  }

  clear (): void {
    if (!this.#isDrawn) return
    this.#isDrawn = false
    this.#stream.write('\r\x1b[2K')
  }

  #bar ({ done, total, row }: BuildProgress): string {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const figures = `${done.toLocaleString('en')}/${total.toLocaleString('en')}  ${Math.floor(share * 100)} %`
    const width = Math.max(0, Math.min(BAR_WIDTH, this.#columns - figures.length - 3))
    const filled = Math.round(share * width)
    const bar = this.#paint('green', '█'.repeat(filled)) + this.#paint('dim', '░'.repeat(width - filled))
    return `${bar}  ${figures}${this.#path(row.path, width + 2 + figures.length)}`
  }

  #count ({ done, row }: BuildProgress): string {
    const figures = `${count(done, 'page')} so far`
    return `${figures}${this.#path(row.path, figures.length)}`
  }

  // A line that wraps can't be drawn over.
  get #columns (): number {
    return this.#stream.columns || 80
  }

  #path (path: string, used: number): string {
    const room = this.#columns - used - 3
    return room < 8 ? '' : this.#paint('dim', `  ${shorten(printable(path), room)}`)
  }
}

const MAX_LINES = 200
const COUNT_MS = 5000

/** For logs: a line per page while there are few, then now and then how far it is. */
export class ProgressLines implements Progress {
  readonly #write: (line: string) => void
  readonly #now: () => number
  #lines = 0
  #countedAt = 0

  constructor (write: (line: string) => void, now: () => number = () => performance.now()) {
    this.#write = write
    this.#now = now
  }

  update ({ done, total, isTotalKnown, row }: BuildProgress): void {
    if (this.#lines < MAX_LINES) {
      this.#lines++
      this.#countedAt = this.#now()
      const duration = row.durationMs === undefined ? '' : ` (${formatDuration(row.durationMs)})`
      this.#write(`${row.outcome} ${printable(row.path)}${duration}`)
      return
    }
    if (this.#now() - this.#countedAt < COUNT_MS) return
    this.#countedAt = this.#now()
    this.#write(isTotalKnown ? `${done.toLocaleString('en')} of ${count(total, 'page')}` : `${count(done, 'page')} so far`)
  }

  clear (): void {}
}
