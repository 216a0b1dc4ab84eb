import { SourceSilent } from '../errors.js'

const ENDED = Symbol('ended')

/** How long a look at files may wait without an answer. Whoever goes on to answer is waited for, however much there is. */
export class Deadline {
  #ms: number
  #timer: NodeJS.Timeout | undefined
  #end!: (ended: typeof ENDED) => void
  readonly #ended = new Promise<typeof ENDED>(resolve => { this.#end = resolve })

  /** Milliseconds. */
  constructor (ms: number) {
    this.#ms = ms
    this.#arm()
  }

  /** @throws FST_ISR_ERR_SITE_SILENT; what is waited for goes on, and nobody hears of it */
  async of<T> (path: string, work: Promise<T>): Promise<T> {
    const result = await Promise.race([work, this.#ended])
    if (result === ENDED) throw new SourceSilent(path, this.#ms / 1000)
    this.#arm()
    return result as T
  }

  /** From now on. */
  limit (ms: number): void {
    this.#ms = ms
    this.#arm()
  }

  /** Nothing is waited for any more. */
  close (): void {
    clearTimeout(this.#timer)
  }

  #arm (): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { this.#end(ENDED) }, this.#ms)
  }
}
