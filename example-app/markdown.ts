import path from 'node:path/posix'
import type { MarkdownIt } from 'markdown-it'
import type { MarkdownOptions } from 'fastify-isr/site'
import { repositoryPages } from './repository.js'

export const markdown: MarkdownOptions = {
  /** Files link to each other as they lie in the repository; on the site they lie elsewhere, or not at all. */
  link (href, file) {
    const [, target = '', fragment = ''] = /^([^#]*)(#.*)?$/.exec(href) ?? []
    const place = placeInRepository(file)
    if (place === undefined) return undefined
    const wanted = path.join(path.dirname(place), target)
    const doc = /^docs\/([\w-]+)\.md$/.exec(wanted)?.[1]
    if (doc !== undefined) return `/docs/${doc}${fragment}`
    const url = repositoryPages.get(wanted)
    return url === undefined ? '/repository' : url + fragment
  },
  /** Wide code and tables scroll inside their own box, which the keyboard must be able to reach. */
  use (markdown: MarkdownIt) {
    const { rules } = markdown.renderer
    const fence = rules['fence']
    rules['fence'] = (...rest) => (fence?.(...rest) ?? '').replace(/^<pre>/, '<pre tabindex="0">')
    rules['table_open'] = () => '<div class="scroll" tabindex="0">\n<table>\n'
    rules['table_close'] = () => '</table>\n</div>\n'
  }
}

function placeInRepository (file: string): string | undefined {
  if (file.startsWith('docs/')) return file
  const url = `/docs/${path.basename(file, '.md')}`
  return file.startsWith('repository/') ? [...repositoryPages].find(([, own]) => own === url)?.[0] : undefined
}
