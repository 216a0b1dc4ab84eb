import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import sharp from 'sharp'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  testdir (): string
}

export type Files = Record<string, string | Buffer>

export interface AssetSite {
  folder: string
  source: string
  out: string
  cacheDir: string
  write (files: Files): Promise<void>
  /** All files of the build, with their bytes. */
  built (): Promise<Map<string, Buffer>>
  builtJson<T> (name: string): Promise<T>
}

/** A folder of assets, and room for what is built of it. */
export async function assetSite (t: Test, files: Files): Promise<AssetSite> {
  const folder = t.testdir()
  const source = path.join(folder, 'assets')
  const out = path.join(folder, 'dist/static')
  const site: AssetSite = {
    folder,
    source,
    out,
    cacheDir: path.join(folder, 'cache'),
    write: async files => { for (const [name, bytes] of Object.entries(files)) await writeBelow(source, name, bytes) },
    built: () => filesBelow(out),
    builtJson: async name => JSON.parse(await readFile(path.join(out, name), 'utf8'))
  }
  await mkdir(source, { recursive: true })
  await site.write(files)
  return site
}

export async function filesBelow (folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    files.set(path.relative(folder, file), await readFile(file))
  }
  return new Map([...files].sort(([a], [b]) => a < b ? -1 : 1))
}

async function writeBelow (folder: string, name: string, bytes: string | Buffer): Promise<void> {
  const file = path.join(folder, name)
  await mkdir(path.dirname(file), { recursive: true })
  await writeFile(file, bytes)
}

/** Something that compresses like a photo: noise over colours that flow into each other. */
export async function photo (width: number, height: number, format: 'jpeg' | 'png' | 'webp' | 'avif' | 'gif' = 'jpeg'): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3)
  let noise = 1
  for (let at = 0; at < pixels.length; at++) {
    noise = (noise * 1_103_515_245 + 12_345) & 0x7fffffff
    const pixel = Math.floor(at / 3)
    const place = at % 3 === 0 ? pixel % width / width : Math.floor(pixel / width) / height
    pixels[at] = Math.round(place * 200) + noise % 24
  }
  return await sharp(pixels, { raw: { width, height, channels: 3 } })[format]().toBuffer()
}

/** One colour: cheap to make and to decode. */
export async function plain (width: number, height: number, format: 'jpeg' | 'png' | 'webp' | 'avif' | 'gif' = 'png', background = '#36c'): Promise<Buffer> {
  return await sharp({ create: { width, height, channels: 3, background } })[format]().toBuffer()
}

/** Flat areas and sharp edges: weighs more when it is resized. */
export async function screenshot (width: number, height: number): Promise<Buffer> {
  const rows = Array.from({ length: Math.floor(height / 16) }, (_, row) => `<rect x="${row % 7 * 9}" y="${row * 16}" width="${width / 2}" height="7" fill="#234"/>`)
  return await sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>${rows.join('')}</svg>`)).png().toBuffer()
}
