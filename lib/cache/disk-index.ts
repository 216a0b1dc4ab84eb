import type { Stamp } from './atomic-file.js'
import type { Version } from './entry.js'
import { NameSet } from './name-set.js'

/** A file that is there, as this process last saw it; another object each time it looks. */
export interface Known {
  readonly bytes: number
  /** Null when it has not been opened yet. */
  readonly seen: { readonly stamp: Stamp, readonly version: Version } | null
}

/** What a process knows of its folder, by file name. Siblings may know better. */
export class DiskIndex {
  /** Built entries are never evicted. */
  #built = new NameSet()
  /** Those of them that were opened: of the others there is nothing to say that would differ from one to the next. */
  readonly #opened = new Map<string, Known>()
  #unopened: Known = { bytes: 0, seen: null }
  /** Written at run time; least recently used first. */
  readonly #extra = new Map<string, Known>()
  /** What must not be believed, whatever lies there: nothing but what is newer than this, or nothing at all. */
  readonly #distrusted = new Map<string, Version | null>()
  #extraBytes = 0

  get entries (): number {
    return this.#built.size + this.#extra.size
  }

  /** Of what was written at run time. */
  get bytes (): number {
    return this.#extraBytes
  }

  find (name: string): Known | undefined {
    return this.#opened.get(name) ?? this.#extra.get(name) ?? (this.#built.has(name) ? this.#unopened : undefined)
  }

  /** The files of a build, as it left them. They are the index's own from here on. */
  setBuilt (names: NameSet): void {
    this.#built = names
    for (const name of [...this.#extra.keys()]) if (names.has(name)) this.#forgetExtra(name)
    this.#opened.clear()
    this.#unopened = { ...this.#unopened }
  }

  /** A file that a build has written since. */
  addBuilt (name: string): void {
    this.#forgetExtra(name)
    this.#distrusted.delete(name)
    this.#built.add(name)
    this.#opened.delete(name)
    // Whoever is reading it has to see that it is another one.
    this.#unopened = { ...this.#unopened }
  }

  /** Written at run time, by whomever. */
  addExtra (name: string, known: Known): void {
    this.forget(name)
    this.#extra.set(name, known)
    this.#extraBytes += known.bytes
  }

  /** Somebody has looked at the file, which counts as a use. */
  see (name: string, known: Known): void {
    if (this.#built.has(name)) this.#opened.set(name, known)
    else this.addExtra(name, known)
  }

  forget (name: string): void {
    this.#built.delete(name)
    this.#opened.delete(name)
    this.#forgetExtra(name)
  }

  /** Least recently used first. */
  evictable (): IterableIterator<string> {
    return this.#extra.keys()
  }

  distrust (name: string, upTo: Version | null): void {
    this.#distrusted.set(name, upTo)
  }

  trust (name: string): void {
    this.#distrusted.delete(name)
  }

  /** Undefined when what lies there may be believed. */
  distrusted (name: string): Version | null | undefined {
    return this.#distrusted.get(name)
  }

  #forgetExtra (name: string): void {
    this.#extraBytes -= this.#extra.get(name)?.bytes ?? 0
    this.#extra.delete(name)
  }
}
