import type { RenderedTemplate } from './markdown-tags.js'

/**
 * From a place in rendered Markdown to the place in its source, for messages:
 * all that can be wrong with a template are its tags, and these stand in both.
 * Between tags it is the end of the tag before.
 */
export function tagOrigins (source: string, tags: RenderedTemplate['tags']): (offset: number) => number {
  const starts = lineStarts(source)
  let from = 0
  const places = tags.map(({ text, lines: [first, end], at }) => {
    const [head = ''] = text.split('\n', 1)
    const begin = Math.max(from, starts[first] ?? 0)
    // Not beyond its block: in a table, a tag may be written otherwise than it is read.
    const found = source.slice(begin, starts[end]).indexOf(head)
    from = found === -1 ? begin : begin + found
    return { at, length: text.length, from }
  })
  return offset => {
    const place = places.findLast(({ at }) => at <= offset)
    return place === undefined ? 0 : place.from + Math.min(offset - place.at, place.length)
  }
}

function lineStarts (text: string): number[] {
  const starts = [0]
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return starts
}
