import { ImageAttributesMissing } from '../errors.js'
import { escapeText } from '../template/escape.js'
import type { ImageMeta, ImageVariant } from './manifest.js'

export type ImageAttributes = Readonly<Record<string, string>>

/** Of several formats the browser takes the first that it knows: the smallest come first. */
const SOURCES = ['avif', 'webp'] as const

/** @throws FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES */
export function checkAttributes (attributes: ImageAttributes): void {
  for (const name of ['src', 'alt']) {
    // An empty alt says that the image is decoration; an empty src says nothing.
    if (typeof attributes[name] !== 'string' || (name === 'src' && attributes[name] === '')) {
      throw new ImageAttributesMissing(attributes['src'] || '(without src)', name)
    }
  }
}

/** `<img>`, or `<picture>` when there are formats that are smaller. Trusted markup: every value is escaped. */
export function imageTag (attributes: ImageAttributes, meta: ImageMeta): string {
  const sizes = attributes['sizes'] || '100vw'
  const img = imgTag(attributes, { ...withSrcset(meta.variants.fallback, sizes), src: meta.path, width: String(meta.width), height: String(meta.height) })
  const sources = SOURCES.flatMap(format => {
    const variants = meta.variants[format] ?? []
    return variants.length === 0 ? [] : [sourceTag(`image/${format}`, variants, sizes)]
  })
  return sources.length === 0 ? img : `<picture>${sources.join('')}${img}</picture>`
}

/** For an image that nothing is known of: its place is not kept free while it loads. */
export function unknownImageTag (attributes: ImageAttributes): string {
  return imgTag(attributes, { src: attributes['src'] })
}

function imgTag (attributes: ImageAttributes, known: Record<string, string | undefined>): string {
  const isPriority = 'priority' in attributes && attributes['priority'] !== 'false'
  return tag('img', {
    src: known['src'],
    alt: attributes['alt'],
    width: known['width'],
    height: known['height'],
    class: attributes['class'] || undefined,
    loading: isPriority ? undefined : attributes['loading'] || undefined,
    fetchpriority: isPriority ? 'high' : undefined,
    srcset: known['srcset'],
    sizes: known['sizes'],
    decoding: attributes['decoding'] || 'async'
  })
}

function sourceTag (type: string, variants: readonly ImageVariant[], sizes: string): string {
  return tag('source', { type, srcset: variants[0]?.path, ...withSrcset(variants, sizes) })
}

/** Nothing to choose from needs no list. */
function withSrcset (variants: readonly ImageVariant[], sizes: string): { srcset?: string, sizes?: string } {
  if (variants.length < 2) return {}
  return { srcset: variants.map(({ path, width }) => `${path} ${width}w`).join(', '), sizes }
}

function tag (name: string, attributes: Record<string, string | undefined>): string {
  const written = Object.entries(attributes).flatMap(([attribute, value]) =>
    value === undefined ? [] : [` ${attribute}="${escapeText(value)}"`])
  return `<${name}${written.join('')} />`
}
