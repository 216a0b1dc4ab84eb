/** Half of a surrogate pair. */
const LONE = /\p{Cs}/gu

/**
 * A text as one segment of a path, spelled as the core spells paths: what may
 * stand raw does (RFC 3986 pchar without the semicolon). In Unicode's composed
 * form, whatever form the file system keeps names in.
 */
export function encodeSegment (text: string): string {
  return encodeURIComponent(text.normalize('NFC').replace(LONE, '\ufffd')).replace(/%(?:24|26|2B|2C|3D|3A|40)/g, decodeURIComponent)
}

/**
 * A path that somebody has written, in the one spelling that pages have:
 * without a slash at its end, encoded where it must be. Null if it can't be the
 * path of a page: not from the root, empty or dot segments, a query, a
 * fragment, a backslash, control characters, however they are written.
 */
export function canonicalPath (path: string): string | null {
  if (!path.startsWith('/') || /[?#\\]/.test(path)) return null
  const bare = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  if (bare === '/') return bare
  const segments = bare.slice(1).split('/').map(canonicalSegment)
  return segments.includes(null) ? null : `/${segments.join('/')}`
}

function canonicalSegment (segment: string): string | null {
  let text: string
  try {
    text = decodeURIComponent(segment)
  } catch {
    // A sign that stands for itself, as in "100%".
    text = segment
  }
  return isSegment(text) ? encodeSegment(text) : null
}

/** Whether a text can be a segment of a path at all. */
export function isSegment (text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return text !== '' && text !== '.' && text !== '..' && !/[\u0000-\u001f\u007f/\\]/.test(text)
}
