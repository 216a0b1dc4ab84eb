// One page, a blog post with a list of others, as a template of several engines: the values are
// escaped by each, the body of the post is trusted. "partial": every item of the list is one.
import { createRequire } from 'node:module'
import { Eta } from 'eta'
import Handlebars from 'handlebars'
import { Liquid } from 'liquidjs'
import { SafeHtml, compileTemplates } from '../lib/site/template/index.js'

export interface Post { title: string, url: string, date: string, summary: string, category: string }
export interface Page { title: string, description: string, body: string, isDraft: boolean, posts: Post[] }

export interface Engine {
  name: string
  render (page: Page): string
}

/** What differs in how the engines write a placeholder, a loop, a branch and a partial. */
interface Syntax {
  value (path: string): string
  /** In a loop. */
  item (field: keyof Post): string
  trusted (path: string): string
  each (body: string): string
  draft (body: string): string
}

function itemOf ({ item }: Pick<Syntax, 'item'>): string {
  return `<li class="post">
        <a href="${item('url')}"><h2>${item('title')}</h2></a>
        <p>${item('summary')}</p>
        <p class="meta"><time>${item('date')}</time> in ${item('category')}</p>
      </li>`
}

function pageOf (syntax: Syntax, item = itemOf(syntax)): string {
  const { value, trusted, each, draft } = syntax
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>${value('title')}</title>
    <meta name="description" content="${value('description')}">
    <link rel="stylesheet" href="/static/css/app.css">
  </head>
  <body>
    <header><nav><a href="/">Home</a> <a href="/blog">Blog</a> <a href="/about">About</a></nav></header>
    <main>
      <h1>${value('title')}</h1>${draft('<p class="draft">This is a draft.</p>')}
      <article>${trusted('body')}</article>
    </main>
    <ul>${each(item)}</ul>
    <footer><p>Written by hand.</p></footer>
  </body>
</html>
`
}

const OURS: Syntax = {
  value: path => `{{= ${path} }}`,
  item: field => `{{= post.${field} }}`,
  trusted: path => `{{= ${path} }}`,
  each: body => `<% each of="posts" as="post" %>${body}<%/ each %>`,
  draft: body => `<% if test="isDraft" %>${body}<%/ if %>`
}

function ours (): Engine[] {
  const fields = ['url', 'title', 'summary', 'date', 'category'] as const
  const call = `<% item.html ${fields.map(field => `${field}="{{= post.${field} }}"`).join(' ')} %/>`
  const set = compileTemplates([
    { name: 'pages/inline.html', text: pageOf(OURS) },
    { name: 'pages/partial.html', text: pageOf(OURS, call) },
    { name: 'partials/item.html', text: itemOf({ item: field => `{{@${field}}}` }) }
  ])
  const context = { asset: (path: string) => path, image: () => '' }
  return (['inline', 'partial'] as const).map(form => ({
    name: `fastify-isr, ${form}`,
    render: page => set.render(`pages/${form}.html`, { ...page, body: new SafeHtml(page.body) }, context).html
  }))
}

/** Of eta and ejs: JavaScript between the tags. */
function javascriptSyntax (raw: string): Syntax {
  return {
    value: path => `<%= it.${path} %>`,
    item: field => `<%= post.${field} %>`,
    trusted: path => `<%${raw} it.${path} %>`,
    each: body => `<% for (const post of it.posts) { %>${body}<% } %>`,
    draft: body => `<% if (it.isDraft) { %>${body}<% } %>`
  }
}

function eta (): Engine[] {
  const eta = new Eta({ autoTrim: false })
  const syntax = javascriptSyntax('~')
  eta.loadTemplate('@item', itemOf({ item: field => `<%= it.${field} %>` }))
  eta.loadTemplate('@inline', pageOf(syntax))
  eta.loadTemplate('@partial', pageOf(syntax, "<%~ include('@item', post) %>"))
  return (['inline', 'partial'] as const).map(form => ({ name: `eta, ${form}`, render: page => eta.render(`@${form}`, page) }))
}

interface Ejs { compile (text: string, options: object): (data: object) => string }

function ejs (): Engine[] {
  const { compile } = createRequire(import.meta.url)('ejs') as Ejs
  const syntax = javascriptSyntax('-')
  // Without `with`, which is its slower way. A partial is a function: its own include would compile it again.
  const options = { _with: false, localsName: 'it' }
  const inline = compile(pageOf(syntax), options)
  const item = compile(itemOf({ item: field => `<%= it.${field} %>` }), options)
  const partial = compile(pageOf(syntax, '<%- it.item(post) %>'), options)
  return [{ name: 'ejs, inline', render: page => inline(page) }, { name: 'ejs, partial', render: page => partial({ ...page, item }) }]
}

function handlebars (): Engine[] {
  const own = Handlebars.create()
  const syntax: Syntax = {
    value: path => `{{${path}}}`,
    item: field => `{{${field}}}`,
    trusted: path => `{{{${path}}}}`,
    each: body => `{{#each posts}}${body}{{/each}}`,
    draft: body => `{{#if isDraft}}${body}{{/if}}`
  }
  own.registerPartial('item', itemOf(syntax))
  const [inline, partial] = [own.compile(pageOf(syntax)), own.compile(pageOf(syntax, '{{> item}}'))]
  return [{ name: 'handlebars, inline', render: page => inline(page) }, { name: 'handlebars, partial', render: page => partial(page) }]
}

function liquid (): Engine[] {
  const syntax: Syntax = {
    value: path => `{{ ${path} }}`,
    item: field => `{{ post.${field} }}`,
    trusted: path => `{{ ${path} | raw }}`,
    each: body => `{% for post in posts %}${body}{% endfor %}`,
    draft: body => `{% if isDraft %}${body}{% endif %}`
  }
  const engine = new Liquid({ outputEscape: 'escape', templates: { item: itemOf(syntax) }, cache: true })
  const [inline, partial] = [engine.parse(pageOf(syntax)), engine.parse(pageOf(syntax, "{% render 'item', post: post %}"))]
  return [
    { name: 'liquidjs, inline', render: page => String(engine.renderSync(inline, page)) },
    { name: 'liquidjs, partial', render: page => String(engine.renderSync(partial, page)) }
  ]
}

/** What any engine could be at best: a function somebody wrote by hand. */
function byHand (): Engine {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  const escape = (text: string): string => text.replace(/[&<>"']/g, character => entities[character] as string)
  return {
    name: 'template literal',
    render: page => pageOf({
      value: path => escape(page[path as 'title' | 'description']),
      item: () => '',
      trusted: () => page.body,
      each: () => page.posts.map(post => itemOf({ item: field => escape(post[field]) })).join(''),
      draft: body => page.isDraft ? body : ''
    }, '')
  }
}

export function engines (): Engine[] {
  return [...ours(), ...eta(), ...ejs(), ...handlebars(), ...liquid(), byHand()]
}

export function examplePage (posts: number): Page {
  return {
    title: 'Caching & you: a "short" guide',
    description: "What one has to know about it, isn't much",
    body: '<p>Lorem <em>ipsum</em> dolor sit amet, consectetur adipiscing elit.</p>'.repeat(10),
    isDraft: false,
    posts: Array.from({ length: posts }, (_, nth) => ({
      title: `Post number ${nth} & what it is about`, url: `/blog/post-${nth}`, date: 'Feb 25, 2026', summary: `The summary of post ${nth}: it's <short>, with a few words more than the title has.`, category: 'engineering'
    }))
  }
}
