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
    if (now - this.#drawnAt < FRAME_MS && progress.done < progress.total) return
    this.#drawnAt = now
    this.#isDrawn = true
    this.#stream.write(`\r\x1b[2K${this.#line(progress)}`)
  }

  clear (): void {
    if (!this.#isDrawn) return
    this.#isDrawn = false
    this.#stream.write('\r\x1b[2K')
  }

  #line ({ done, total, row }: BuildProgress): string {
    const share = total === 0 ? 1 : Math.min(1, done / total)
    const filled = Math.round(share * BAR_WIDTH)
    const bar = '█'.repeat(filled)
    const rest = '░'.repeat(BAR_WIDTH - filled)
    const figures = `${done.toLocaleString('en')}/${total.toLocaleString('en')}  ${Math.floor(share * 100)} %`
    // A line that wraps can't be drawn over.
    const room = (this.#stream.columns || 80) - BAR_WIDTH - figures.length - 5
    const path = room < 8 ? '' : `  ${shorten(printable(row.path), room - 2)}`
    return `${this.#paint('green', bar)}${this.#paint('dim', rest)}  ${figures}${this.#paint('dim', path)}`
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

  update ({ done, total, row }: BuildProgress): void {
    if (this.#lines < MAX_LINES) {
      this.#lines++
      this.#countedAt = this.#now()
      const duration = row.durationMs === undefined ? '' : ` (${formatDuration(row.durationMs)})`
      this.#write(`${row.outcome} ${printable(row.path)}${duration}`)
      return
    }
    if (this.#now() - this.#countedAt < COUNT_MS) return
    this.#countedAt = this.#now()
    this.#write(`${done.toLocaleString('en')} of ${count(total, 'page')}`)
  }

  clear (): void {}
}
