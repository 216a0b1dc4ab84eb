// 128 plus the number of the signal, as shells report it.
const SIGNALS = [['SIGINT', 130], ['SIGTERM', 143]] as const
// For a render that does not let go.
const STOP_BOUND = 5000

/**
 * What Ctrl-C does. During the build the first one lets it stop and clean up; a second one, or one at
 * any other time, ends the process at once. The build is committed last, so the old one is intact.
 */
export class Interrupts {
  readonly #onStopping: () => void
  #controller: AbortController | null = null
  #timer: NodeJS.Timeout | undefined
  #exitCode: number | null = null

  constructor (onStopping: () => void) {
    this.#onStopping = onStopping
  }

  /** The exit code of the signal that stopped the work, if one did. */
  get exitCode (): number | null {
    return this.#exitCode
  }

  async during<T> (work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.#controller = new AbortController()
    for (const [name, exitCode] of SIGNALS) {
      // An exported instance often comes with handlers that close it, in the middle of a render;
      // it is closed all the same when the work has stopped.
      process.removeAllListeners(name)
      process.on(name, () => this.#receive(exitCode))
    }
    try {
      return await work(this.#controller.signal)
    } finally {
      this.#controller = null
      clearTimeout(this.#timer)
    }
  }

  #receive (exitCode: number): void {
    if (this.#controller === null || this.#controller.signal.aborted) process.exit(exitCode)
    this.#exitCode = exitCode
    this.#timer = setTimeout(() => process.exit(exitCode), STOP_BOUND)
    this.#onStopping()
    this.#controller.abort()
  }
}
