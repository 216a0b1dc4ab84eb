import { setImmediate as nextTurn } from 'node:timers/promises'

/** Items at the same time. */
const AT_ONCE = 8
/** Items between two turns of the event loop. */
const TURNS = 64

/** Does some at once; the first failure ends it, after those under way. */
export async function each<T> (items: Iterable<T> | AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failure: { error: unknown } | null = null
  let done = 0
  const worker = async (): Promise<void> => {
    for (let next = await iterator.next(); next.done !== true && failure === null; next = await iterator.next()) {
      await work(next.value).catch((error: unknown) => { failure ??= { error } })
      // What blocks leaves no turn to timers and signals by itself.
      if (++done % TURNS === 0) await nextTurn()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  if (failure !== null) throw (failure as { error: unknown }).error
}
