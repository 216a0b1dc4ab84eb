import type { CheckProblem } from './check.js'

type Place = Pick<CheckProblem, 'file' | 'line' | 'column' | 'frame'>

/**
 * Where a link probably comes from: the first of the files of its page that
 * holds it as it is. One that was put together from values is laid at the
 * page's own file.
 */
export async function placeOf (link: string, sources: readonly string[], { read, written }: { read (file: string): Promise<string | null>, written (file: string, link: string): string }): Promise<Place> {
  for (const spell of [written, (_file: string, link: string) => link.replaceAll('&', '&amp;')]) {
    for (const file of sources) {
      const spelling = spell(file, link)
      const text = await read(file)
      const at = text === null ? -1 : positionOf(text, spelling)
      if (text !== null && at !== -1) return { file, ...lineOf(text, at, spelling.length) }
    }
  }
  return { file: sources[0] ?? '', line: 1, column: 1, frame: '' }
}

/** Whole: '/a' is not in '/about'. */
function positionOf (text: string, link: string): number {
  for (let at = text.indexOf(link); at !== -1; at = text.indexOf(link, at + 1)) {
    const [before = ' ', after = ' '] = [text[at - 1], text[at + link.length]]
    if (/[\s"'(=<]/.test(before) && /[\s"')>]/.test(after)) return at
  }
  return -1
}

function lineOf (text: string, at: number, length: number): Omit<Place, 'file'> {
  const start = text.lastIndexOf('\n', at - 1) + 1
  const end = text.indexOf('\n', at)
  const line = text.slice(0, at).split('\n').length
  const gutter = `${line} | `
  const content = text.slice(start, end === -1 ? text.length : end).replace(/\r$/, '')
  return { line, column: at - start + 1, frame: `${gutter}${content}\n${' '.repeat(gutter.length + at - start)}${'^'.repeat(length)}` }
}
