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
