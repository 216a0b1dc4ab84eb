import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { InvalidOption } from '../../errors.js'
import { AssetBroken, AssetsUnwritable } from '../errors.js'
import { loadPeer } from '../peer.js'
import { digestOf, MANIFEST_FILE, META_FILE, urlOf } from './asset-path.js'
import { BuildCache } from './build-cache.js'
import { readBuildOptions, type AssetBuildOptions, type AssetBuildSettings } from './build-options.js'
import { bundle } from './bundle.js'
import { compress } from './compress.js'
import { eachOf } from './each-of.js'
import { ImageEncoder } from './image-encoder.js'
import { isPart, kindOf, publicName, type Kind } from './kinds.js'
import type { Manifest } from './manifest.js'
import { Output } from './output.js'
import { publish } from './publish.js'
import { listSources, readWhole, type SourceFile } from './source-files.js'

export type { AssetBuildOptions } from './build-options.js'

export interface AssetReport {
  /** `/static/css/app.css` → its URL. */
  assets: Manifest
  /** Files that the build is made of: variants and compressed forms as well. */
  files: number
  /** Of these, how many were not there before. */
  written: number
  /** Old ones that are gone. */
  removed: number
  /** Slow steps (encoding, compression) that were done, and those whose results were known. */
  made: number
  reused: number
  durationMs: number
}

/**
 * Makes what production serves of a folder of assets. All of it, or nothing:
 * whatever fails (a broken image, a reference to nothing, a package that is
 * not installed) fails the build and leaves the last one as it is.
 *
 * Equal sources give equal bytes. Slow steps are done once.
 *
 * @throws FST_ISR_ERR_INVALID_OPTION | FST_ISR_ERR_SITE_PEER |
 * FST_ISR_ERR_SITE_ASSET_BROKEN | FST_ISR_ERR_SITE_ASSET_CLASH |
 * FST_ISR_ERR_SITE_BUNDLE | FST_ISR_ERR_SITE_ASSETS_UNWRITABLE
 */
export async function buildAssets (options: AssetBuildOptions): Promise<AssetReport> {
  const startedAt = performance.now()
  const settings = readBuildOptions(options)
  // A site may have none.
  const sources = existsSync(settings.source) ? await listSources(settings.source) : []
  const cache = await BuildCache.open(settings.cacheDir).catch(cause => {
    throw new AssetsUnwritable(settings.cacheDir, cause.message, { cause })
  })

  const output = new Output(settings.prefix, name => settings.undigested.includes(name))
  const build = new AssetBuild(settings, sources, cache, output)
  await build.images()
  await build.others()
  // Style sheets may name all of the former; scripts may name these, too.
  await build.bundles('style')
  await build.bundles('script')
  checkUndigested(settings.undigested, output)

  const published = await publish(output, settings.out, { keep: settings.keep, now: Date.now() }).catch(cause => {
    throw isOurs(cause) ? cause : new AssetsUnwritable(settings.out, cause.message, { cause })
  })
  // Its loss costs nothing.
  await cache.prune(Date.now()).catch(() => {})
  return { assets: output.manifest, files: output.files.length, ...published, ...cache.counts, durationMs: Math.round(performance.now() - startedAt) }
}

class AssetBuild {
  readonly #settings: AssetBuildSettings
  readonly #sources: readonly SourceFile[]
  readonly #byName: ReadonlyMap<string, SourceFile>
  readonly #cache: BuildCache
  readonly #output: Output

  constructor (settings: AssetBuildSettings, sources: readonly SourceFile[], cache: BuildCache, output: Output) {
    this.#settings = settings
    this.#sources = sources
    this.#byName = new Map(sources.map(source => [source.name.normalize(), source]))
    this.#cache = cache
    this.#output = output
  }

  async images (): Promise<void> {
    const images = this.#of('image')
    if (images.length === 0) return
    const { default: sharp } = await loadPeer('sharp', `building images such as '${images[0]?.name}'`, async () => await import('sharp'))
    const encoder = new ImageEncoder(sharp, { cache: this.#cache, ...this.#settings })
    // In the order of their names, whichever is done first.
    const done = await eachOf(images, availableParallelism(), async source => {
      const bytes = await readWhole(source)
      return { name: source.name.normalize(), bytes: bytes.length, image: await encoder.encode(source.name, bytes), add: await this.#adding(source, bytes) }
    })
    for (const { name, bytes, image, add } of done) {
      add()
      this.#output.addImage(name, bytes, image)
    }
  }

  async others (): Promise<void> {
    const done = await eachOf(this.#of('other'), availableParallelism(), async source => await this.#adding(source, await readWhole(source)))
    for (const add of done) add()
  }

  async bundles (kind: Kind): Promise<void> {
    const entries = this.#of(kind).filter(({ name }) => !isPart(name))
    if (entries.length === 0) return
    const { prefix, targets, transform, source } = this.#settings
    const esbuild = await loadPeer('esbuild', `building style sheets and scripts such as '${entries[0]?.name}'`, async () => await import('esbuild'))
    const bundles = await bundle(entries, { esbuild, root: await realpath(source), prefix, targets, find: name => this.#find(name), transform, minify: true })
    for (const { name, bytes } of bundles) {
      this.#output.add(name.normalize(), digestOf(bytes), async () => bytes, await compress(name, bytes, this.#cache))
    }
  }

  /** Of what is published as it is. Large files are read once more when they are written, not kept until then. */
  async #adding (source: SourceFile, bytes: Buffer): Promise<() => void> {
    const digest = digestOf(bytes)
    const compressed = await compress(source.name, bytes, this.#cache)
    const load = async (): Promise<Buffer> => {
      const again = await readWhole(source)
      if (digestOf(again) !== digest) throw new AssetBroken(source.name, 'it has changed during the build; build again')
      return again
    }
    return () => { this.#output.add(source.name.normalize(), digest, load, compressed) }
  }

  #find (name: string): { url: string | null, file: string } | null {
    const source = this.#byName.get(name)
    return source === undefined ? null : { url: this.#output.find(name) ?? this.#lastingUrl(publicName(name)), file: source.file }
  }

  /** Known before the file is made. */
  #lastingUrl (name: string): string | null {
    const { undigested, prefix } = this.#settings
    return undigested.includes(name) ? urlOf(prefix, name) : null
  }

  #of (kind: Kind): SourceFile[] {
    return this.#sources.filter(({ name }) => kindOf(name) === kind)
  }
}

/** A name that stands for nothing is a mistake. */
function checkUndigested (undigested: readonly string[], output: Output): void {
  const taken = undigested.find(name => [MANIFEST_FILE, META_FILE].includes(name.toLowerCase()))
  if (taken !== undefined) throw new InvalidOption('undigested', 'a list of names that the build does not use itself', `'${taken}'`)
  const unknown = undigested.find(name => output.find(name) === null)
  if (unknown !== undefined) throw new InvalidOption('undigested', 'a list of names of assets', `'${unknown}', which there is not`)
}

function isOurs (error: unknown): boolean {
  return String((error as { code?: unknown }).code).startsWith('FST_ISR_ERR_')
}
