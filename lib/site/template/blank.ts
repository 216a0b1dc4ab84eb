import type { Node } from './ast.js'

/** Blanks and comments: nothing that would be missed. */
export function isBlank (node: Node): boolean {
  if (node.type !== 'text') return false
  const { text } = node
  for (let at = 0; ;) {
    const begin = text.indexOf('<!--', at)
    if (text.slice(at, begin < 0 ? undefined : begin).trim() !== '') return false
    const end = text.indexOf('-->', begin)
    if (begin < 0) return true
    if (end < 0) return false
    at = end + 3
  }
}
