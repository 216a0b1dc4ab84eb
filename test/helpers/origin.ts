import type { Gate } from './engine.js'

/** Where data come from in a test: counts what it is asked for, can be slow and can fail. */
export class Origin {
  fetches = 0
  running = 0
  mostRunning = 0
  version = 1
  error: Error | null = null
  /** While it is set, answers wait for it. */
  gate: Gate | null = null
  readonly signals: AbortSignal[] = []

  readonly fetch = async (id = 'x'): Promise<string> => {
    this.fetches++
    this.running++
    this.mostRunning = Math.max(this.mostRunning, this.running)
    // As the source was when it was asked.
    const { version, error } = this
    try {
      await this.gate?.opened
      if (error !== null) throw error
      return `${id} v${version}`
    } finally {
      this.running--
    }
  }
}
