import type { HLJSApi, LanguageFn } from 'highlight.js'
import { LanguageUnknown } from '../errors.js'
import { loadPeer } from '../peer.js'

/** HTML of code, with class names; null: as it stands. */
export type Highlight = (code: string, language: string) => string | null

/** What sites show most; each is loaded in about 5 ms. */
export const DEFAULT_LANGUAGES: readonly string[] = ['bash', 'css', 'diff', 'dockerfile', 'http', 'javascript', 'json', 'markdown', 'plaintext', 'sql', 'typescript', 'xml', 'yaml']

/** Beyond it, grammars take too long for what a reader has of it. Characters. */
const MAX_CODE = 100_000

/**
 * highlight.js with these languages and their aliases (`js`, `html`, `sh`).
 *
 * @throws FST_ISR_ERR_SITE_PEER, FST_ISR_ERR_SITE_LANGUAGE
 */
export async function loadHighlight (languages: readonly string[]): Promise<Highlight> {
  const { default: core } = await loadPeer('highlight.js', 'highlighted code in Markdown', async () => await import('highlight.js/lib/core'))
  // An instance of its own: the one of the module is everybody's.
  const highlighter: HLJSApi = core.newInstance()
  for (const language of new Set(languages)) highlighter.registerLanguage(language, await loadLanguage(language))
  return (code, language) => {
    if (code.length > MAX_CODE || highlighter.getLanguage(language) === undefined) return null
    return highlighter.highlight(code, { language, ignoreIllegals: true }).value
  }
}

async function loadLanguage (language: string): Promise<LanguageFn> {
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(language)) throw new LanguageUnknown(language, 'not a name of a language')
  try {
    const { default: grammar } = await import(`highlight.js/lib/languages/${language}`) as { default: LanguageFn }
    return grammar
  } catch (cause) {
    throw new LanguageUnknown(language, 'it has no such language', { cause })
  }
}
