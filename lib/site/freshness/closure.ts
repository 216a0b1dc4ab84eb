import type { CollectionOptions } from '../../../types/site.js'
import { PARTIALS } from '../content/documents.js'
import type { Snapshot } from '../content/index.js'

/**
 * The files that a page is made of, for `Content.refresh`: the template, its
 * partials, those that these use. A folder, with a slash at its end, stands for
 * what may appear in it. Null: no file page or item has this URL.
 */
export function closureOf ({ templates, pages, items }: Pick<Snapshot, 'templates' | 'pages' | 'items'>, url: string): string[] | null {
  const entry = pages.find(url)
  if (entry?.kind === 'redirect') return null
  const file = entry?.file ?? fileOf(items, url)
  if (file === null) return null
  const files = new Set([file])
  for (const name of templates.dependencies(file)) addFile(files, name)
  for (const { file: broken, usedBy = [] } of templates.problems) {
    // A broken template has no dependencies: where it breaks, or what it lacks, is where it can be repaired.
    if (broken === file || usedBy.includes(file)) files.add(broken).add(`${PARTIALS}/`)
  }
  return [...files]
}

/** The files behind what a render depended on: names of templates, `collection:<name>`, `page:<url>`. */
export function filesOf (deps: Iterable<string>, { items }: Pick<Snapshot, 'items'>, collections: ReadonlyMap<string, CollectionOptions>): string[] {
  const files = new Set<string>()
  for (const dep of deps) {
    if (dep.startsWith('collection:')) {
      const dir = collections.get(dep.slice('collection:'.length))?.dir
      if (dir !== undefined) files.add(`${dir}/`)
    } else if (dep.startsWith('page:')) {
      const file = fileOf(items, dep.slice('page:'.length))
      if (file !== null) files.add(file)
    } else addFile(files, dep)
  }
  return [...files]
}

/** Assets are watched by none: they have another name when they have another content. */
function addFile (files: Set<string>, name: string): void {
  if (!name.startsWith('asset:') && !name.startsWith('/')) files.add(name)
}

const byUrl = new WeakMap<Snapshot['items'], Map<string, string>>()

function fileOf (items: Snapshot['items'], url: string): string | null {
  let files = byUrl.get(items)
  if (files === undefined) {
    files = new Map()
    for (const shown of items.values()) {
      for (const { url, file } of shown) files.set(url, file)
    }
    byUrl.set(items, files)
  }
  return files.get(url) ?? null
}
