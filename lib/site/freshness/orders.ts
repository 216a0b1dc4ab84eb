import { createHash } from 'node:crypto'
import type { Isr, TargetItem } from '../../../types/index.js'

/** What one order of the core may hold. */
const MAX_TARGETS = 1000
/** Bytes of a tag of the core. */
const MAX_TAG = 256

export interface Ordered {
  changed: readonly string[]
  added: readonly string[]
  removed: readonly string[]
}

/**
 * The tag that pages have for what they are made of: `collection:posts` and
 * `page:/about` as they are, `tpl:` before names of templates and assets.
 */
export function tagOf (dep: string): string {
  const tag = dep.startsWith('collection:') || dep.startsWith('page:') ? dep : `tpl:${dep}`
  // A tag has less room than a path.
  // eslint-disable-next-line no-control-regex
  if (Buffer.byteLength(tag) <= MAX_TAG && !/[\u0000-\u001f\u007f]/.test(tag)) return tag
  return `${tag.slice(0, tag.indexOf(':') + 1)}sha256-${createHash('sha256').update(dep).digest('hex')}`
}

/**
 * Orders of the core for what has changed in a site. What could not be ordered
 * is owed, and ordered with the next: the content has moved on already and will
 * not tell of it again.
 */
export class Orders {
  readonly #isr: Pick<Isr, 'revalidate' | 'purge'>
  readonly #owed = { revalidate: new Map<string, TargetItem>(), purge: new Map<string, TargetItem>() }

  constructor (isr: Pick<Isr, 'revalidate' | 'purge'>) {
    this.#isr = isr
  }

  /** @throws what the core throws */
  async give ({ changed, added, removed }: Ordered): Promise<void> {
    const { revalidate, purge } = this.#owed
    for (const path of removed) {
      purge.set(path, { path })
      revalidate.delete(path)
    }
    // Whatever was kept for a path before it led here.
    for (const path of added) {
      revalidate.set(path, { path })
      purge.delete(path)
    }
    for (const name of changed) revalidate.set(tagOf(name), { tag: tagOf(name) })
    await this.#settle(purge, async targets => { await this.#isr.purge(targets) })
    await this.#settle(revalidate, async targets => { await this.#isr.revalidate(targets) })
  }

  async #settle (owed: Map<string, TargetItem>, order: (targets: TargetItem[]) => Promise<void>): Promise<void> {
    while (owed.size > 0) {
      const some = [...owed].slice(0, MAX_TARGETS)
      await order(some.map(([, target]) => target))
      for (const [key, target] of some) {
        // Unless it was asked for again meanwhile.
        if (owed.get(key) === target) owed.delete(key)
      }
    }
  }
}
