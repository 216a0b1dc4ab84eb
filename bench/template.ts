// The page as a template, and a small engine that interprets it, for what parses per request.
import { escape } from './page.js'

export const TEMPLATE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Lamps</title>
    <meta name="description" content="Lamps for every desk">
  </head>
  <body>
    <h1>Lamps</h1>
    <ul>{{#each products}}
      <li class="product">
        <h2>{{name}}</h2>
        <p>{{description}}</p>
        <p>by {{maker}}, {{price}} €</p>
      </li>{{/each}}
    </ul>
  </body>
</html>
`

export interface Values {
  [name: string]: string | number | Values[]
}

type Node =
  | { type: 'text', text: string }
  | { type: 'value', name: string }
  | { type: 'each', name: string, children: Node[] }

export function parse (template: string): Node[] {
  const root: Node[] = []
  const open: Node[][] = [root]
  for (let at = 0; at < template.length;) {
    const start = template.indexOf('{{', at)
    const current = open.at(-1) ?? root
    if (start !== at) current.push({ type: 'text', text: template.slice(at, start < 0 ? undefined : start) })
    if (start < 0) break
    const end = template.indexOf('}}', start)
    if (end < 0) throw new Error('a {{ is not closed')
    const tag = template.slice(start + 2, end).trim()
    if (tag === '/each') {
      open.pop()
    } else if (tag.startsWith('#each ')) {
      const children: Node[] = []
      current.push({ type: 'each', name: tag.slice(6).trim(), children })
      open.push(children)
    } else {
      current.push({ type: 'value', name: tag })
    }
    at = end + 2
  }
  return root
}

export function evaluate (nodes: Node[], values: Values): string {
  return nodes.map(node => {
    if (node.type === 'text') return node.text
    const value = values[node.name]
    if (node.type === 'value') return escape(String(value))
    return Array.isArray(value) ? value.map(item => evaluate(node.children, item)).join('') : ''
  }).join('')
}
