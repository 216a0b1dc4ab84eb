import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { AssetBroken } from '../errors.js'

/** Milliseconds: what no build has needed for so long is removed. */
const KEPT = 30 * 24 * 3600_000
const HASH_BYTES = 32

/**
 * Results of slow steps, by everything that they depend on. A folder that is
 * lost, damaged or shared by builds that run at the same time costs no more
 * than time.
 */
export class BuildCache {
  readonly #folder: string
  readonly #made = new Set<string>()
  readonly #reused = new Set<string>()

  private constructor (folder: string) {
    this.#folder = folder
  }

  static async open (folder: string): Promise<BuildCache> {
    await mkdir(folder, { recursive: true })
    return new BuildCache(folder)
  }

  get counts (): { made: number, reused: number } {
    return { made: this.#made.size, reused: this.#reused.size }
  }

  /** `inputs` must be JSON. */
  async get (inputs: readonly unknown[], make: () => Promise<Buffer>): Promise<Buffer> {
    const file = path.join(this.#folder, createHash('sha256').update(JSON.stringify(inputs)).digest('hex'))
    const known = await this.#read(file)
    if (known !== null) {
      // What this process has made itself may be read several times.
      if (!this.#made.has(file)) this.#reused.add(file)
      return known
    }
    const bytes = await make()
    const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
    await writeFile(temporary, Buffer.concat([hash(bytes), bytes]))
    await rename(temporary, file)
    this.#made.add(file)
    return bytes
  }

  /** For what `get` has resolved with: to be read when it is needed, instead of being held. */
  reader (inputs: readonly unknown[]): () => Promise<Buffer> {
    return () => this.get(inputs, () => {
      throw new AssetBroken(this.#folder, 'the cache of the build was emptied during the build; build again')
    })
  }

  /** Forgets what is old. */
  async prune (now: number): Promise<void> {
    for (const name of await readdir(this.#folder)) {
      if (!/^[0-9a-f]{64}(?:\.[0-9a-f]{12}\.tmp)?$/.test(name)) continue
      const file = path.join(this.#folder, name)
      const facts = await stat(file).catch(() => null)
      if (facts !== null && facts.mtimeMs < now - KEPT) await rm(file, { force: true })
    }
  }

  async #read (file: string): Promise<Buffer | null> {
    try {
      const stored = await readFile(file)
      const bytes = stored.subarray(HASH_BYTES)
      if (!hash(bytes).equals(stored.subarray(0, HASH_BYTES))) return null
      const now = new Date()
      await utimes(file, now, now)
      return bytes
    } catch {
      return null
    }
  }
}

function hash (bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
