import type { TemplateProblem } from '../template/index.js'
import type { Snapshot } from './snapshot.js'

export interface Changes {
  /**
   * Names of what has changed: files (`partials/header.html`, those that are
   * gone included), `collection:<name>`, `page:<url>`. What was made of one of
   * them must be made anew.
   */
  changed: string[]
  /** Paths that lead somewhere now and did not before. */
  added: string[]
  /** Paths that lead nowhere any more. */
  removed: string[]
  /** Templates that can no longer be compiled, though they or their partials could before or were not there. */
  problems: TemplateProblem[]
}

/** What is different between two moments of a site, given the files that are. */
export function changesBetween (before: Snapshot, now: Snapshot, read: ReadonlySet<string>): Changes {
  // What a file links to may have moved: it is another page then, though its bytes are the same.
  const files = new Set([...read, ...relinked(before, now)])
  const changed = new Set(files)
  const added: string[] = []
  const removed: string[] = []
  const [old, current] = [targets(before), targets(now)]
  for (const [url, target] of current) {
    if (!old.has(url)) added.push(url)
    if (old.get(url) !== target || isAffected(now, target, files)) changed.add(`page:${url}`)
  }
  for (const url of old.keys()) {
    if (current.has(url)) continue
    removed.push(url)
    changed.add(`page:${url}`)
  }
  for (const name of now.collections.keys()) {
    if (isCollectionAffected(name, before, now, files)) changed.add(`collection:${name}`)
  }
  const known = new Set(before.templates.problems.map(idOf))
  return { changed: [...changed].sort(), added, removed, problems: now.templates.problems.filter(problem => !known.has(idOf(problem)) || changed.has(problem.file)) }
}

/** URL → file of the page or item, or where it is redirected to. */
function targets ({ pages, items }: Snapshot): Map<string, string> {
  const all = new Map<string, string>()
  for (const shown of items.values()) {
    for (const { url, file } of shown) all.set(url, file)
  }
  for (const url of pages.paths()) {
    const entry = pages.find(url)
    if (entry !== null) all.set(url, entry.kind === 'page' ? entry.file : `→ ${entry.to}`)
  }
  return all
}

function * relinked (before: Snapshot, now: Snapshot): Generator<string> {
  for (const [file, links] of now.links) {
    const old = before.links.get(file)
    if (old !== undefined && old.length === links.length && links.some(({ url }, nth) => url !== old[nth]?.url)) yield file
  }
}

/** Whether a template, or a partial that it uses, is among these files. */
function isAffected ({ templates }: Snapshot, template: string, files: ReadonlySet<string>): boolean {
  if (files.has(template)) return true
  for (const name of templates.dependencies(template)) {
    if (files.has(name)) return true
  }
  return false
}

function isCollectionAffected (name: string, before: Snapshot, now: Snapshot, files: ReadonlySet<string>): boolean {
  const [old, current] = [before, now].map(({ collections }) => collections.get(name)?.all() ?? [])
  if (old === undefined || current === undefined || old.length !== current.length) return true
  return current.some((item, nth) => item.file !== old[nth]?.file || isAffected(now, item.file, files))
}

function idOf ({ code, file, line, column, message }: TemplateProblem): string {
  return [code, file, line, column, message].join(' ')
}
