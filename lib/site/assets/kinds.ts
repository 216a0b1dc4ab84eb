import { beforeExtension, extensionOf, IMAGE_FILE } from './asset-path.js'

export type Kind = 'image' | 'style' | 'script' | 'other'

/** What `css.transform` may be given; esbuild itself knows the first alone. */
const STYLES = ['.css', '.scss', '.sass', '.less', '.styl', '.pcss']
/** Extension in the source → extension that browsers get. */
const SCRIPTS: Readonly<Record<string, string>> = { '.js': '.js', '.ts': '.js', '.jsx': '.js', '.tsx': '.js', '.mjs': '.mjs', '.mts': '.mjs' }

export function kindOf (file: string): Kind {
  const extension = extensionOf(file).toLowerCase()
  if (IMAGE_FILE.test(file)) return 'image'
  if (STYLES.includes(extension)) return 'style'
  return extension in SCRIPTS ? 'script' : 'other'
}

/** Style sheets and scripts that others import, and that nobody asks for by name. */
export function isPart (file: string): boolean {
  const kind = kindOf(file)
  if (kind !== 'style' && kind !== 'script') return false
  return /\.d\.m?ts$/.test(file) || file.split('/').some(name => name.startsWith('_'))
}

/** `css/app.scss` → `css/app.css` */
export function publicName (file: string): string {
  switch (kindOf(file)) {
    case 'style': return beforeExtension(file, '', '.css')
    case 'script': return beforeExtension(file, '', SCRIPTS[extensionOf(file).toLowerCase()])
    default: return file
  }
}

/** Names in the source that may be behind a public one. */
export function sourceNames (name: string): string[] {
  const extension = extensionOf(name)
  const sources = extension === '.css' ? STYLES : Object.keys(SCRIPTS).filter(source => SCRIPTS[source] === extension)
  return [name, ...sources.filter(source => source !== extension).map(source => beforeExtension(name, '', source))]
}
