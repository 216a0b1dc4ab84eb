/** A tag with attributes for an image fits many times. */
const MAX_LENGTH = 10_000

/**
 * The end of the template tag that begins at `start` (`<% … %/>`, `<% … %>`),
 * or -1 if there is none: quotes are minded, `<%%` is a literal, and a tag does
 * not hold the beginning of another. It looks at each character once, and at no
 * more than a tag may have.
 */
export function endOfTag (text: string, start: number): number {
  if (!text.startsWith('<%', start) || text[start + 2] === '%') return -1
  const limit = Math.min(text.length, start + MAX_LENGTH)
  if (text[start + 2] === '#') return endOfComment(text, start, limit)
  let quote = ''
  for (let at = start + 2; at < limit; at++) {
    const char = text[at]
    if (quote !== '') {
      if (char === quote) quote = ''
    } else if (char === '%' && text[at + 1] === '>') return at + 2
    else if (char === '%' && text[at + 1] === '/' && text[at + 2] === '>') return at + 3
    else if (char === '<' && text[at + 1] === '%') return -1
    else if (char === '"' || char === "'") quote = char
  }
  return -1
}

/** Quotes mean nothing there; the long form alone may hold tags. */
function endOfComment (text: string, start: number, limit: number): number {
  const isLong = text.startsWith('--', start + 3)
  const close = isLong ? '--%>' : '%>'
  for (let at = start + 3; at < limit; at++) {
    if (text.startsWith(close, at)) return at + close.length
    if (!isLong && text.startsWith('<%', at)) return -1
  }
  return -1
}
