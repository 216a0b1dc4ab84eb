import { randomBytes } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { digestIn, isNamedAfter, MANIFEST_FILE, META_FILE } from './asset-path.js'
import { eachOf } from './each-of.js'
import { readManifests, toJson, type Manifest } from './manifest.js'
import type { Output, OutputFile } from './output.js'

const AT_ONCE = 8
const TEMPORARY = /^\.[0-9a-f]{12}\.tmp$/
/** Milliseconds: no build takes so long. */
const ABANDONED = 3600_000
const COMPANION = /\.(?:br|gz)$/

export interface Published {
  written: number
  removed: number
}

/**
 * Puts a build in the place of the last one. Files are added, then the two
 * manifests are replaced, then files are removed: whoever reads one of the
 * manifests at any moment, or after a crash at any moment, finds all files
 * that it names. Several processes may do this to one folder.
 */
export async function publish (output: Output, folder: string, { keep, now }: { keep: number, now: number }): Promise<Published> {
  await mkdir(folder, { recursive: true })
  const before = await readManifests(folder).catch(() => null)
  const digested = output.files.filter(file => file.isDigested)
  const written = await addAll(digested, folder)
  const replaced = await replaceAll(output.files.filter(file => !file.isDigested), folder)
  await commit(output, folder)
  await restore(digested, folder)
  const removed = await removeOld(folder, output, before?.manifest ?? {}, now - keep, now)
  return { written: written + replaced, removed }
}

/** Returns how many were not there. */
async function addAll (files: readonly OutputFile[], folder: string): Promise<number> {
  const added = await eachOf(files, AT_ONCE, async (file): Promise<number> => {
    const target = path.join(folder, file.name)
    if (await isThere(target, file) && await touch(target)) return 0
    await rename(await writeBeside(target, await file.load()), target)
    return 1
  })
  return added.reduce((sum, count) => sum + count, 0)
}

/** Its age is how long it has been of no use. False: another build has just removed it. */
async function touch (target: string): Promise<boolean> {
  const now = new Date()
  return await utimes(target, now, now).then(() => true, (error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return false
    throw error
  })
}

/** Another build may have thought for a moment that nobody needs one of them. */
async function restore (files: readonly OutputFile[], folder: string): Promise<void> {
  const isGone = await eachOf(files, AT_ONCE, async file => await access(path.join(folder, file.name)).then(() => false, () => true))
  await addAll(files.filter((_, index) => isGone[index]), folder)
}

async function isThere (target: string, file: OutputFile): Promise<boolean> {
  const bytes = await readFile(target).catch(() => null)
  return bytes !== null && (COMPANION.test(target) ? bytes.equals(await file.load()) : isNamedAfter(target, bytes))
}

/** All are written before the first is put in its place. */
async function replaceAll (files: readonly OutputFile[], folder: string): Promise<number> {
  const staged = await eachOf(files, AT_ONCE, async (file): Promise<[string, string] | null> => {
    const target = path.join(folder, file.name)
    const bytes = await file.load()
    const old = await readFile(target).catch(() => null)
    return old?.equals(bytes) === true ? null : [await writeBeside(target, bytes), target]
  })
  const changed = staged.filter(pair => pair !== null)
  for (const [temporary, target] of changed) await rename(temporary, target)
  return changed.length
}

/**
 * Two renames, between which another process may do the same: who finds
 * something else than its own in the end starts again, so that the last one to
 * write has written both.
 */
async function commit (output: Output, folder: string): Promise<void> {
  const texts = [[META_FILE, toJson(output.meta)], [MANIFEST_FILE, toJson(output.manifest)]] as const
  const isDone = async (): Promise<boolean> => {
    const found = await Promise.all(texts.map(([name]) => readFile(path.join(folder, name), 'utf8').catch(() => null)))
    return texts.every(([, text], index) => found[index] === text)
  }
  while (!await isDone()) {
    const staged = await Promise.all(texts.map(async ([name, text]) => [await writeBeside(path.join(folder, name), text), path.join(folder, name)] as const))
    for (const [temporary, target] of staged) await rename(temporary, target)
    if (await isDone()) return
    await delay(Math.random() * 20)
  }
}

async function writeBeside (target: string, bytes: Buffer | string): Promise<string> {
  const temporary = path.join(path.dirname(target), `.${randomBytes(6).toString('hex')}.tmp`)
  await mkdir(path.dirname(target), { recursive: true })
  try {
    await writeFile(temporary, bytes, { flag: 'wx' })
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  return temporary
}

/** Removes nothing that a build has not written. Returns how many files are gone. */
async function removeOld (folder: string, output: Output, before: Manifest, usedUntil: number, now: number): Promise<number> {
  const current = new Set(output.files.map(file => file.name))
  const gone: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const name = path.relative(folder, file).split(path.sep).join('/')
    if (current.has(name)) continue
    const isGone = TEMPORARY.test(entry.name)
      ? await isOlder(file, now - ABANDONED)
      : wasUndigested(output.prefix + name, before) || await isOldBuild(file, usedUntil)
    if (isGone) gone.push(file)
  }
  // A compressed form alone could not be told from a file of somebody else.
  for (const file of gone.sort((a, b) => b.length - a.length)) {
    await rm(file, { force: true })
    await removeEmpty(folder, path.dirname(file))
  }
  return gone.length
}

/** Under its own name in the last build, and not in this one any more. */
function wasUndigested (path: string, before: Manifest): boolean {
  const url = Object.hasOwn(before, path) ? before[path] : undefined
  return url !== undefined && decodeURIComponent(url) === path
}

async function isOldBuild (file: string, usedUntil: number): Promise<boolean> {
  const base = file.replace(COMPANION, '')
  if (digestIn(base) === null || !await isOlder(file, usedUntil)) return false
  // A name may look like one of ours by chance, a content can't.
  const bytes = await readFile(base).catch(() => null)
  return bytes !== null && isNamedAfter(base, bytes)
}

async function isOlder (file: string, than: number): Promise<boolean> {
  const facts = await stat(file).catch(() => null)
  return facts !== null && facts.mtimeMs < than
}

async function removeEmpty (root: string, folder: string): Promise<void> {
  for (let at = folder; at !== root; at = path.dirname(at)) {
    const isRemoved = await rmdir(at).then(() => true, () => false)
    if (!isRemoved) return
  }
}
