import { createHash } from 'node:crypto'

/** Of a file's content, in hexadecimal digits: as many as no two files of a site will ever share. */
const DIGEST_LENGTH = 16
const DIGESTED = new RegExp(`\\.([0-9a-f]{${DIGEST_LENGTH}})(?:\\.[^./]+)?$`)

/** What the URLs of images, and nothing else, end in. */
export const IMAGE_FILE = /\.(?:png|jpe?g|gif|webp|avif|svg)$/i

export const MANIFEST_FILE = 'assets.json'
export const META_FILE = 'assets_meta.json'

export function digestOf (bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_LENGTH)
}

/** `css/app.css` → `css/app.0123456789abcdef.css` */
export function withDigest (path: string, digest: string): string {
  return beforeExtension(path, `.${digest}`)
}

/** Whether the name of a file says what it contains. */
export function isNamedAfter (path: string, bytes: Buffer): boolean {
  return digestIn(path) === digestOf(bytes)
}

/** Null: the name has none. Any file may be named so: `isNamedAfter` knows better. */
export function digestIn (path: string): string | null {
  return DIGESTED.exec(path)?.[1] ?? null
}

/** `img/a.png`, `.w360` → `img/a.w360.png` */
export function beforeExtension (path: string, insertion: string, extension = extensionOf(path)): string {
  return `${path.slice(0, path.length - extensionOf(path).length)}${insertion}${extension}`
}

/** With its dot; empty when there is none. */
export function extensionOf (path: string): string {
  return /[^/](\.[^./]+)$/.exec(path)?.[1] ?? ''
}

/** The path of a URL for a file below `prefix`: a blank, `?`, `#` or `%` in a name is no part of its syntax. */
export function urlOf (prefix: string, file: string): string {
  // Not more than that: @fastify/static leaves what else is reserved as it comes.
  return prefix + encodeURI(file).replace(/[?#]/g, encodeURIComponent)
}

/**
 * What a path may mean, most likely first, each with what follows the name of
 * the file: authors write names as they are or as in URLs, and add `#icon` or
 * `?#iefix`.
 */
export function * readingsOf (path: string): Generator<{ path: string, suffix: string }> {
  yield * withoutEscapes(path, '')
  const end = path.search(/[?#]/)
  if (end !== -1) yield * withoutEscapes(path.slice(0, end), path.slice(end))
}

function * withoutEscapes (path: string, suffix: string): Generator<{ path: string, suffix: string }> {
  // File systems differ in how they keep an accent; what is looked up has one form.
  yield { path: path.normalize(), suffix }
  if (!path.includes('%')) return
  try {
    yield { path: decodeURIComponent(path).normalize(), suffix }
  } catch {
    // A lone % is part of a name.
  }
}
