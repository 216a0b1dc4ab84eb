// What the predecessor did with odd templates, and what is done instead: one test for each.
import { test } from 'tap'
import { caught, problemOf, render, renderPage, setOf } from './helpers.js'

const CARD = { 'card.html': '<div>{{body}}</div>' }

test('text outside of the slots is the default slot, or an error, and never thrown away', async t => {
  t.equal(render('<% box.html %>Hello <b>you</b><%/ box.html %>', { partials: { 'box.html': '<div>{{default}}</div>' } }), '<div>Hello <b>you</b></div>')
  t.equal(render('<% box.html %>Hello<slot:title>T</slot:title><%/ box.html %>', { partials: { 'box.html': '<h1>{{title}}</h1>{{default}}' } }), '<h1>T</h1>Hello')
  const problem = problemOf('<% card.html %>lost<slot:body>x</slot:body><%/ card.html %>', { partials: CARD })
  t.match(problem, { code: 'stray_content', line: 1, column: 16, message: /the slots of card.html are body/ })
  t.equal(render('<% card.html %><!-- a note --><slot:body>x</slot:body><%/ card.html %>', { partials: CARD }), '<div>x</div>')
})

test('a slot that is filled twice is an error', async t => {
  const problem = problemOf('<% card.html %><slot:body>x</slot:body>\n<slot:body>y</slot:body><%/ card.html %>', { partials: CARD })
  t.match(problem, { code: 'duplicate_slot', line: 2, column: 1, related: { line: 1, column: 16 } })
})

test('an attribute that is given twice is an error', async t => {
  const problem = problemOf('<% card.html a=1\na=2 %/>', { partials: CARD })
  t.match(problem, { code: 'duplicate_attr', line: 2, column: 1, related: { line: 1, column: 14 } })
})

test('the end of a tag within quotes does not end it', async t => {
  t.equal(render('<% a.html title="100 %> or %/> more" %/>', { partials: { 'a.html': '{{@title}}' } }), '100 %&gt; or %/&gt; more')
})

test('{{@x}} in the text of a slot is text on pages, and the own attribute in partials', async t => {
  const partials = { 'a.html': '<i>{{@mine}}{{body}}</i>', 'b.html': '<% a.html mine="1" %><slot:body>{{@theirs}}</slot:body><%/ a.html %>' }
  t.equal(render('<% a.html mine="1" %><slot:body>{{@mine}}</slot:body><%/ a.html %>', { partials }), '<i>1{{@mine}}</i>')
  t.equal(render('<% b.html theirs="2" %/>', { partials }), '<i>12</i>')
})

test('the text of a slot does not see the attributes of the partial that it goes to', async t => {
  const partials = { 'a.html': '<i>{{@x}}{{body}}</i>', 'b.html': '<% a.html x="1" %><slot:body>{{@x}}</slot:body><%/ a.html %>' }
  t.equal(problemOf('<% b.html %/>', { partials }).code, 'missing_attrs')
})

test('a tag in the front matter is text', async t => {
  const partials = { 'layout.html': '<p>{{title}}</p>', 'evil.html': 'EVIL' }
  t.equal(render('<% layout.html %/>', { partials, frontMatter: { title: '<% evil.html %/> {{+ /x}} {{@y}} {{title}}' } }), '<p>&lt;% evil.html %/&gt; {{+ /x}} {{@y}} {{title}}</p>')
})

test('front matter and attributes are escaped for the place that they stand in', async t => {
  const partials = { 'p.html': '<p title="{{title}}">{{title}}</p>', 'q.html': '<p title="{{@title}}">{{@title}}</p>' }
  const escaped = '<p title="a&lt;b&gt;&amp;&quot;">a&lt;b&gt;&amp;&quot;</p>'
  t.equal(render('<% p.html %/>', { partials, frontMatter: { title: 'a<b>&"' } }), escaped)
  t.equal(render("<% q.html title='a<b>&\"' %/>", { partials }), escaped)
  t.equal(render('<% q.html title="A &amp; B &eacute;" %/>', { partials }), '<p title="A &amp; B &eacute;">A &amp; B &eacute;</p>')
})

test('partials that use each other are refused when they are compiled, and named in their order', async t => {
  const partials = { 'a.html': '<% b.html %/>', 'b.html': 'x <% a.html %/>' }
  const set = setOf('<% a.html %/>', { partials })
  t.match(set.problems, [{ code: 'cycle', file: 'partials/b.html', line: 1, column: 3, message: /partials\/a\.html -> partials\/b\.html -> partials\/a\.html/, usedBy: ['pages/index.html', 'partials/a.html'] }])
  t.equal(problemOf('<% self.html %/>', { partials: { 'self.html': '<% self.html %/>' } }).code, 'cycle')
})

test('{{name}} on a page is text', async t => {
  t.equal(render('{{name}} {{@name}} {{name?}}', { frontMatter: { name: 'x' } }), '{{name}} {{@name}} {{name?}}')
})

test('an attribute that a partial has no use for is a warning', async t => {
  const { html, warnings } = renderPage('<% card.html colour="red" %><slot:body>x</slot:body><%/ card.html %>', { partials: CARD })
  t.equal(html, '<div>x</div>')
  t.match(warnings, [{ code: 'unused_attr', file: 'pages/index.html', line: 1, column: 14, message: /"colour"/ }])
})

test('what only looks like a placeholder is text, and a warning', async t => {
  const { html, warnings } = renderPage('<% a.html %/>', { partials: { 'a.html': '{{ x }}\n{{x-1}} {{@a b}}' } })
  t.equal(html, '{{ x }}\n{{x-1}} {{@a b}}')
  t.match(warnings, [
    { code: 'looks_like_placeholder', file: 'partials/a.html', line: 1, column: 1 },
    { line: 2, column: 1 }, { line: 2, column: 9 }
  ])
})

test('the name of a partial must not come from a value', async t => {
  t.match(problemOf('{{x}}<% {{t}} %/>'), { code: 'malformed_tag', line: 1, column: 6, message: /must not come from a value/ })
})

test('partials stand in folders', async t => {
  const partials = { 'blog/item.html': 'item' }
  t.equal(render('<% blog/item.html %/>', { partials }), 'item')
  t.match(problemOf('<% item.html %/>', { partials }).message, /did you mean "partials\/blog\/item\.html"/)
})

test('a partial that changes concerns what uses it, and nothing else', async t => {
  const { deps } = renderPage('<% a.html %/>', { partials: { 'a.html': '<% b.html %/>{{+ /static/x.css}}', 'b.html': '', 'c.html': '' } })
  t.same([...deps].sort(), ['asset:/static/x.css', 'pages/index.html', 'partials/a.html', 'partials/b.html'])
})

test('the retired asset tag says what to write instead', async t => {
  t.match(caught(() => render('<% asset src="/static/x" %/>')).message, /pages\/index\.html:1:1 \[malformed_tag\].*\{\{\+ \/static\/path\}\}/)
})
