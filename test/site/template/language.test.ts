// The language of the predecessor, by the inputs of its own tests and documentation, and what was added to it.
import { test } from 'tap'
import { SafeHtml } from '../../../lib/site/template/index.js'
import { problemOf, render } from './helpers.js'

test('a partial gets attributes, with both kinds of quotes, without any, and with blanks around "="', async t => {
  const partials = { 'head.html': '<head><title>{{@title}}</title></head>' }
  for (const tag of ['<% head.html title="Hello" %/>', "<% head.html title='Hello' %/>", '<% head.html title=Hello %/>', '<%head.html title = "Hello"%/>']) {
    t.equal(render(tag, { partials }), '<head><title>Hello</title></head>', tag)
  }
  t.equal(render('<% two.html a="1"b="2" %/>', { partials: { 'two.html': '{{@a}}{{@b}}' } }), '12')
})

test('a partial gets attributes and slots', async t => {
  const partials = { 'card.html': "<div class='{{@class}}'>{{default}}</div>" }
  t.equal(render("<% card.html class='x' %><slot:default>Hello</slot:default><%/ card.html %>", { partials }), "<div class='x'>Hello</div>")
})

test('partials stand in the slots of others', async t => {
  const partials = { 'outer.html': '<outer>{{inner}}</outer>', 'inner.html': '<inner>{{deep}}</inner>' }
  t.equal(render('<% outer.html %><slot:inner><% inner.html %><slot:deep>Deep</slot:deep><%/ inner.html %></slot:inner><%/ outer.html %>', { partials }),
    '<outer><inner>Deep</inner></outer>')
})

test('a slot of several lines keeps them, blanks around slots are nothing', async t => {
  const partials = { 'layout.html': '<div>{{header}}{{body}}</div>' }
  t.equal(render('<% layout.html %>\n  <slot:header>Header</slot:header>\n  <slot:body>\nBody\n</slot:body>\n<%/ layout.html %>', { partials }), '<div>Header\nBody\n</div>')
  t.equal(render('', { partials }), '')
})

test('a slot that is not filled is taken from the front matter of the page, at any depth; a filled one wins', async t => {
  const partials = { 'layout.html': '<% head.html %/>{{body}}', 'head.html': '<title>{{title}}</title>' }
  const frontMatter = { title: 'Front' }
  t.equal(render('<% layout.html %><slot:body>x</slot:body><%/ layout.html %>', { partials, frontMatter }), '<title>Front</title>x')
  t.equal(render('<% head.html %><slot:title>Own</slot:title><%/ head.html %>', { partials, frontMatter }), '<title>Own</title>')
})

test('the placeholder of an asset becomes its URL, with and without quotes', async t => {
  for (const path of ['/static/css/app.css', "'/static/css/app.css'", '"/static/css/app.css"']) {
    t.equal(render(`<link href="{{+ ${path} }}">`), '<link href="/static/css/app.abc.css">', path)
  }
  t.equal(render('<script type="module">import "{{+ /static/app.js}}"</script>'), '<script type="module">import "/static/app.abc.js"</script>')
  t.equal(render('<p style="background:url({{+ /static/a.png}})">'), '<p style="background:url(/static/a.abc.png)">')
  t.equal(render('<img src={{+ /static/a.png}}>'), '<img src=/static/a.abc.png>')
})

test('an image becomes what the assets make of its attributes', async t => {
  const image = (attributes: Record<string, string>): string => `[${JSON.stringify(attributes)}]`
  t.equal(render('<% img src="/static/a.png" alt="A &amp; B" class=wide %/>', { context: { image } }), '[{"src":"/static/a.png","alt":"A & B","class":"wide"}]')
  t.equal(render('<% figure.html src="/static/a.png" text="{{= text}}" %/>', {
    partials: { 'figure.html': '<% img src="{{@src}}" alt="{{@text}}" %/>' }, data: { text: '"<&' }, context: { image }
  }), '[{"src":"/static/a.png","alt":"\\"<&"}]')
})

test('the layout of the article on the predecessor: a title attribute, two slots and a generated list of posts', async t => {
  const partials = {
    'layout.html': '<!doctype html>\n<html><head><title>{{@title}}</title>{{head}}</head>\n<body>{{content}}</body></html>\n',
    'blog_index_item.html': '<li><a href="{{@path}}">{{@title}}</a> <time>{{@date}}</time><p>{{@summary}}</p></li>',
    'generated_blog_items.html': '<% each of="posts" as="post" %><% blog_index_item.html path="{{= post.path}}" title="{{= post.title}}" date="{{= post.date | date}}" summary="{{= post.summary}}" %/>\n<%/ each %>'
  }
  const page = `<% layout.html title="Blog" %>
  <slot:head><link rel="stylesheet" href="{{+ /static/css/app.css }}"></slot:head>
  <slot:content><ul>
<% generated_blog_items.html %/></ul></slot:content>
<%/ layout.html %>
`
  const posts = [
    { path: '/blog/one', title: 'One & only', date: '2026-02-25', summary: '<b>' },
    { path: '/blog/two', title: 'Two', date: '2026-01-02', summary: '' }
  ]
  t.equal(render(page, { partials, data: { posts } }), `<!doctype html>
<html><head><title>Blog</title><link rel="stylesheet" href="/static/css/app.abc.css"></head>
<body><ul>
<li><a href="/blog/one">One &amp; only</a> <time>Feb 25, 2026</time><p>&lt;b&gt;</p></li>
<li><a href="/blog/two">Two</a> <time>Jan 2, 2026</time><p></p></li>
</ul></body></html>

`)
})

test('comments are gone, delimiters can be written, raw text is left as it is', async t => {
  t.equal(render('a<%# {{= nothing}} <% no.html %>b'), 'ab')
  t.equal(render('a<%#-- {{= nothing}} <% no.html %> <%# x %> -- %> --%>b'), 'ab', 'the long form may hold tags')
  t.equal(render('a<%#--%>b'), 'ab')
  t.match(problemOf('a<%#-- <% no.html %>b'), { code: 'malformed_tag', message: 'a comment without an end: --%> is missing' })
  t.equal(render('<%% x %>'), '<% x %>')
  t.equal(render('<% raw %><% x.html %/> {{= y}} {{+ /static/a}}<%/ raw %>'), '<% x.html %/> {{= y}} {{+ /static/a}}')
})

test('"if" takes a branch; an empty list, an empty string and what is not there are as good as false', async t => {
  const page = '<% if test="a.b" %>yes<% else %>no<%/ if %>'
  for (const b of [true, 1, 'x', [0], {}, new Set([1]), new SafeHtml('x')]) t.equal(render(page, { data: { a: { b } } }), 'yes')
  for (const b of [false, 0, '', [], null, undefined, new Map(), new SafeHtml('')]) t.equal(render(page, { data: { a: { b } } }), 'no')
  t.equal(render(page), 'no')
  t.equal(render('<% if test="x" %>yes<%/ if %>', { frontMatter: { x: 'true' } }), 'yes')
})

test('"each" goes through anything iterable, names its items and counts them', async t => {
  const page = '<% each of="list" as="p" %>{{= p_index}}{{= p}},<%/ each %>'
  t.equal(render(page, { data: { list: ['a', 'b'] } }), '0a,1b,')
  t.equal(render(page, { data: { list: new Set(['a']) } }), '0a,')
  t.equal(render(page, { data: { list: (function * () { yield 'a'; yield 'b' })() } }), '0a,1b,')
  t.equal(render('<% each of="list" %>{{= it.0}}={{= it.1}},<%/ each %>', { data: { list: new Map([['a', 1]]) } }), 'a=1,')
  t.equal(render('<% each of="list" %>x<%/ each %>', { data: { list: [1, 2, 3] } }), 'xxx')
  t.equal(render(page, { data: { list: null } }), '')
  t.equal(render('<% each of="list?" %>x<%/ each %>'), '')
})

test('loops stand in loops, and partials see what the loops around them name', async t => {
  const data = { rows: [{ cells: [1, 2] }, { cells: [3] }], p: 'outside' }
  t.equal(render('<% each of="rows" as="row" %><% each of="row.cells" as="p" %><% cell.html %/><%/ each %>{{= p}};<%/ each %>', { data, partials: { 'cell.html': '[{{= row_index}}:{{= p}}]' } }),
    '[0:1][0:2]outside;[1:3]outside;')
})

test('a loop takes nothing from the data, even where it is frozen or has a setter of the same name', async t => {
  const data = Object.freeze({ list: ['a'], p: 'mine' })
  t.equal(render('<% each of="list" as="p" %>{{= p}}<%/ each %>{{= p}}', { data }), 'amine')
  const setting = { list: ['a'], get p () { return 'mine' }, set p (value) { throw new Error(value) } }
  t.equal(render('<% each of="list" as="p" %>{{= p}}<%/ each %>{{= p}}', { data: setting }), 'amine')
})

test('placeholders with a question mark may be without a value', async t => {
  const partials = { 'a.html': '<p class="{{@class?}}">{{text?}}{{= note?}}</p>' }
  t.equal(render('<% a.html %/>', { partials }), '<p class=""></p>')
  t.equal(render('<% a.html class=b %><slot:text>c</slot:text><%/ a.html %>', { partials, data: { note: 'd' } }), '<p class="b">cd</p>')
})

test('what every object inherits is no value, the getters of a class are', async t => {
  class Post { get title (): string { return 'Got' } }
  t.equal(render('{{= post.title}}', { data: { post: new Post() } }), 'Got')
  t.equal(problemOf('{{= post.toString}}', { data: { post: {} } }).code, 'unknown_value')
  t.equal(problemOf('{{= constructor}}', { data: {} }).code, 'unknown_value')
  t.equal(render('{{= constructor}}', { data: { constructor: 'own' } }), 'own')
  t.equal(problemOf('{{= a.__proto__}}').code, 'malformed_value')
})

test('slots and attributes may be called like what objects inherit', async t => {
  const partials = { 'a.html': '{{constructor?}}{{@constructor?}}{{@toString?}}' }
  t.equal(render('<% a.html %/>', { partials }), '')
  t.equal(render('<% a.html constructor="x" %><slot:constructor>y</slot:constructor><%/ a.html %>', { partials }), 'yx')
})

test('a hole asks for its mark', async t => {
  const context = { hole: (name: string): string => `[${name}]` }
  t.equal(render('<input value="<% hole name=csrf %/>"><% hole name="user" %/>', { context }), '<input value="[csrf]">[user]')
})
