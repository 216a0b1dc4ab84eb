import { Content, type ContentOptions } from '../../../lib/site/content/index.js'
import { memorySource } from '../../../lib/site/source/source.js'
import { compileTemplates, SafeHtml, type RenderContext } from '../../../lib/site/template/index.js'

export const context: RenderContext = {
  asset: path => path,
  image: ({ src = '' }) => `<img src="${src}">`
}

export type MemorySource = ReturnType<typeof memorySource>

export interface TestSite {
  content: Content
  source: MemorySource
  /** The markup of a page by its URL. */
  page: (url: string) => string
}

/** A site in memory, loaded. */
export async function makeSite (files: Record<string, string>, options: Partial<ContentOptions> = {}): Promise<TestSite> {
  const source = memorySource(files)
  const content = makeContent({ source, ...options })
  await content.load()
  return {
    content,
    source,
    page (url) {
      const { pages, templates } = content.current
      const found = pages.find(url)
      if (found?.kind !== 'page') throw new Error(`no page ${url}`)
      return templates.render(found.template, { page: found.data }, { ...context, frontMatter: found.frontMatter }).html
    }
  }
}

export function makeContent (options: Partial<ContentOptions> & Pick<ContentOptions, 'source'>): Content {
  return new Content({
    compile: compileTemplates,
    body: (templates, template) => new SafeHtml(templates.render(template, {}, context).html),
    ...options
  })
}
