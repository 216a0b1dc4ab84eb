import type { Stamp } from './atomic-file.js'
import type { Version } from './entry.js'

/** A file that is there, as this process last saw it; another object each time it looks. */
export interface Known {
  readonly bytes: number
  /** Null when it has not been opened yet. */
  readonly seen: { readonly stamp: Stamp, readonly version: Version } | null
}

/** What a process knows of its folder, by file name. Siblings may know better. */
export class DiskIndex {
  /** Built entries are never evicted. */
  readonly #built = new Map<string, Known>()
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
    return this.#built.get(name) ?? this.#extra.get(name)
  }

  addBuilt (name: string, bytes: number): void {
    this.#forgetExtra(name)
    this.#distrusted.delete(name)
    this.#built.set(name, { bytes, seen: null })
  }

  /** Written at run time, by whomever. */
  addExtra (name: string, known: Known): void {
    this.forget(name)
    this.#extra.set(name, known)
    this.#extraBytes += known.bytes
  }

  /** Somebody has looked at the file, which counts as a use. */
  see (name: string, known: Known): void {
    if (this.#built.has(name)) this.#built.set(name, known)
    else this.addExtra(name, known)
  }

  forget (name: string): void {
    this.#built.delete(name)
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
