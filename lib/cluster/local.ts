import type { Coordinator, Listener, Mark, Moment, Order, Ordered, Turn } from './coordinator.js'
import type { MarkLog } from './mark-log.js'

/**
 * One process, or several on one disk. The epoch is microseconds of the wall
 * clock, so that processes of one machine can compare theirs, and never goes
 * back within a process.
 */
export class LocalCoordinator implements Coordinator {
  readonly isDisconnected = false
  readonly #clock: () => number
  readonly #log: MarkLog | null
  /** Orders given before anybody listens. */
  readonly #early: Mark[] = []
  #last = 0
  #deliver: (mark: Mark) => void = (mark) => { this.#early.push(mark) }

  /** Without a log, orders live as long as the process. */
  constructor (clock: () => number, log: MarkLog | null) {
    this.#clock = clock
    this.#log = log
  }

  now (): Moment {
    this.#last = Math.max(this.#last, Math.floor(this.#clock() * 1000))
    return { epoch: this.#last }
  }

  /** Time goes on by itself: an entry from a later one comes from a clock that has gone back since. */
  observe (): void {}

  async order (orders: readonly Order[]): Promise<Ordered & { marks: Mark[], epoch: number }> {
    const epoch = this.now().epoch + 1
    this.#last = epoch
    const marks = orders.map(order => ({ ...order, epoch }))
    // Applied before anything is awaited: from here on no older page is served.
    for (const mark of marks) this.#deliver(mark)
    const isDurable = this.#log === null || await this.#log.append(marks)
    return { marks, epoch, degraded: !isDurable }
  }

  turn (): Turn {
    return { kind: 'granted', start: this.now(), failures: 0, lease: null }
  }

  async ended (): Promise<void> {}

  async start (listener: Pick<Listener, 'mark'>): Promise<void> {
    this.#deliver = mark => { listener.mark(mark) }
    for (const mark of this.#early.splice(0)) this.#deliver(mark)
    await this.catchUp()
    await this.#log?.compact()
  }

  async catchUp (): Promise<void> {
    for (const mark of await this.#log?.readNew() ?? []) {
      this.#last = Math.max(this.#last, mark.epoch)
      this.#deliver(mark)
    }
  }

  async close (): Promise<void> {
    await this.#log?.close()
  }
}
