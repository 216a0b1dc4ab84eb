/** Few enough for any limit of open files, enough to keep a disk busy. */
const AT_ONCE = 16

/** Results in the order of the items; some at a time. */
export async function mapAtOnce<T, R> (items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const nth = next++
      results[nth] = await work(items[nth] as T)
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return results
}
