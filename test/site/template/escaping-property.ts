// The escaper is right if no value changes how a browser reads a page, whatever the template. What a
// browser makes of a page is asked of parse5, which knows nothing of the tracker, and what a script
// does of the engine itself.
import { createContext, runInContext } from 'node:vm'
import { type DefaultTreeAdapterTypes, parse } from 'parse5'
import { type RenderContext, SafeHtml, TemplateError, compileTemplates } from '../../../lib/site/template/index.js'
import { HOSTILE, HOSTILE_SCRIPT, SECOND, type Templates } from './escaping-templates.js'

type TreeNode = DefaultTreeAdapterTypes.Node
type Values = Record<string, unknown>

/** A page that a value has changed. */
export interface Finding { values: Values, html: string, reason: string }

const SITE = 'https://site.example/'
const URLS = new Set(['href', 'src', 'action', 'formaction', 'data', 'xlink:href'])
const RUNS = new Set(['script', 'embed', 'object', 'base'])
const CONTEXT: RenderContext = { asset: path => path, image: () => '', frontMatter: { front: '"><script>PWN()</script>' } }

/** Renders a template with any values, or null: it is refused. */
function rendererOf ({ page, partial }: Templates): ((values: Values) => string) | null {
  const set = compileTemplates([{ name: 'page', text: page }, { name: 'partials/part.html', text: partial }])
  const render = (values: Values): string => set.render('page', values, CONTEXT).html
  try {
    render({ ...HARMLESS, on: true })
    render({ ...HARMLESS, on: false })
    return render
  } catch (error) {
    if (error instanceof TemplateError) return null
    throw error
  }
}

const HARMLESS = valuesOf('abc', 'def')

/** Also what code vouches for: markup with a value that it has escaped, and text of nothing but entities. */
function valuesOf (x: string, y: string): Values {
  const escaped = x.replace(/[&<>"']/g, toEntity)
  return { x, y, list: [x, y], safe: new SafeHtml(`<b title="${escaped}">${escaped}</b>`), coded: new SafeHtml(x.replace(/[^]/g, toEntity)) }
}

function toEntity (character: string): string {
  return `&#${character.charCodeAt(0)};`
}

interface Seen { shape: string, dangers: string[] }

function see (html: string): Seen {
  const dangers: string[] = []
  const visit = (node: TreeNode): string => {
    if (!('tagName' in node)) return 'childNodes' in node ? node.childNodes.map(visit).join('') : ''
    for (const { name, value } of node.attrs) {
      if (isRun(node.tagName, name) && value.includes('PWN')) dangers.push(`${name} runs a value`)
      if (URLS.has(name)) dangers.push(...dangersOfUrl(node.tagName, value))
    }
    const text = node.childNodes.map(child => 'value' in child ? child.value : '').join('')
    if ((node.tagName === 'script' || node.tagName === 'style') && text.includes('PWN')) dangers.push(`a value in <${node.tagName}>`)
    const children = 'content' in node ? [...node.childNodes, ...node.content.childNodes] : node.childNodes
    return `${node.tagName}(${node.attrs.map(({ name }) => name).join()})[${children.map(visit).join('')}]`
  }
  return { shape: visit(parse(html)), dangers }
}

function isRun (element: string, attribute: string): boolean {
  return attribute.startsWith('on') || attribute === 'style' || attribute === 'srcdoc' || (element === 'animate' && attribute === 'values')
}

function dangersOfUrl (element: string, value: string): string[] {
  if (!URL.canParse(value, SITE)) return []
  const { protocol, host } = new URL(value, SITE)
  if (['javascript:', 'vbscript:', 'data:'].includes(protocol)) return [`a URL with ${protocol}`]
  return RUNS.has(element) && host.includes('evil') ? [`<${element}> from ${host}`] : []
}

function differs (harmless: Seen, hostile: Seen): string | null {
  if (harmless.shape !== hostile.shape) return `another tree: ${hostile.shape}, not ${harmless.shape}`
  return hostile.dangers.length > harmless.dangers.length ? hostile.dangers.join(', ') : null
}

/** What a value can do to a template: nothing, or the template is refused. */
export function findEscape (templates: Templates, hostile: readonly string[] = HOSTILE): Finding | 'refused' | null {
  const render = rendererOf(templates)
  if (render === null) return 'refused'
  const text = templates.page + templates.partial
  for (const on of text.includes('"on"') ? [true, false] : [true]) {
    // A value without any text is another page: text in front of a <frameset> makes it go away, for example.
    const baselines = new Map<string, Seen>()
    const baseline = (x: string, y: string): Seen => {
      const values = [x === '' ? '' : 'abc', y === '' ? '' : 'def'] as const
      const key = values.join()
      const seen = baselines.get(key) ?? see(render({ ...valuesOf(...values), on }))
      baselines.set(key, seen)
      return seen
    }
    for (const x of hostile) {
      for (const y of /= y|"list"/.test(text) ? [x, ...SECOND] : ['']) {
        const values = { ...valuesOf(x === 'javascript:PWN()' && y === 'script:PWN()' ? 'java' : x, y), on }
        const html = render(values)
        const reason = differs(baseline(x, y), see(html))
        if (reason !== null) return { values, html, reason }
      }
    }
  }
  return null
}

let runs = 0
const REALM = createContext({ PWN: () => { runs++ }, a: 1, b: 1 })

/** What a value can do in a script: nothing, or the template is refused. */
export function findScriptEscape (templates: Templates, hostile: readonly unknown[] = HOSTILE_SCRIPT): Finding | 'refused' | null {
  const render = rendererOf(templates)
  if (render === null) return 'refused'
  const harmless = render(HARMLESS)
  const pieces = scriptsOf(parse(harmless)).join('').split('"abc"')
  for (const x of hostile) {
    const html = render({ ...HARMLESS, x })
    const texts = scriptsOf(parse(html))
    const text = texts.join('')
    if (!text.startsWith(pieces.at(0) ?? '') || !text.endsWith(pieces.at(-1) ?? '')) return { values: { x }, html, reason: 'the script ends elsewhere' }
    for (const script of texts) {
      const before = runs
      try {
        runInContext(script, REALM, { timeout: 100 })
      } catch {}
      if (runs > before) return { values: { x }, html, reason: 'a value was run' }
    }
    if (see(html).shape !== see(harmless).shape) return { values: { x }, html, reason: 'another tree' }
  }
  return null
}

function scriptsOf (node: TreeNode): string[] {
  if (!('childNodes' in node)) return []
  if (node.nodeName === 'script') return [node.childNodes.map(child => 'value' in child ? child.value : '').join('')]
  return node.childNodes.flatMap(scriptsOf)
}
