import type { Order } from './coordinator.js'

/** Orders that wait for Redis; beyond it the oldest are given up. They hold in this process all the same. */
const MOST = 10_000

/** Orders given while Redis can't be asked: the last per target, as strict as all of them. */
export class OrderQueue {
  readonly #orders = new Map<string, Order>()

  get size (): number {
    return this.#orders.size
  }

  add (orders: readonly Order[]): void {
    for (const order of orders) {
      const name = nameOf(order)
      const deadline = Math.min(order.deadline, this.#orders.get(name)?.deadline ?? Infinity)
      this.#orders.delete(name)
      this.#orders.set(name, { ...order, deadline })
      const [oldest] = this.#orders.keys()
      if (this.#orders.size > MOST && oldest !== undefined) this.#orders.delete(oldest)
    }
  }

  /** The oldest ones, as they are. */
  peek (most: number): Order[] {
    const orders: Order[] = []
    for (const order of this.#orders.values()) {
      if (orders.length >= most) break
      orders.push(order)
    }
    return orders
  }

  /** They were delivered, unless they have changed since. */
  remove (orders: readonly Order[]): void {
    for (const order of orders) if (this.#orders.get(nameOf(order)) === order) this.#orders.delete(nameOf(order))
  }
}

function nameOf ({ kind, tag }: Order): string {
  return `${kind} ${tag}`
}
