// Every kind of problem, where it is told to be, and what is shown of the source.
import { test } from 'tap'
import { type TemplateProblemCode, compileTemplates, formatProblem } from '../../../lib/site/template/index.js'
import { type Given, caught, contextOf, problemOf, render, setOf } from './helpers.js'

interface Case extends Given {
  page: string
  code: TemplateProblemCode
  /** What the carets are below. */
  marks: string
  line: number
  column: number
  /** The other place: its file and what is marked there. */
  related?: [file: string, marks: string]
}

const CARD = { 'card.html': '<div>\n  {{header}} {{body}}\n</div>' }
const NAMED = { 'named.html': '<p title="{{@title}}">\n{{@text}}</p>' }
const throwing = (message: string, extra = {}) => (): never => { throw Object.assign(new Error(message), extra) }

function * endless (): Generator<number> {
  for (let next = 0; ; next++) yield next
}

const CASES: Record<string, Case> = {
  'a partial that there is not': { code: 'ref_not_found', page: 'a\n <% missing.html %/>', marks: '<% missing.html %/>', line: 2, column: 2 },
  'slots that nothing fills': {
    code: 'missing_slots', page: '\n<% card.html %><slot:header>x</slot:header><%/ card.html %>', partials: CARD, marks: '<% card.html %>', line: 2, column: 1, related: ['partials/card.html', '{{body}}']
  },
  'slots that are missing, before those that are too much': {
    code: 'missing_slots', page: '<% card.html %><slot:title>x</slot:title><%/ card.html %>', partials: CARD, marks: '<% card.html %>', line: 1, column: 1, related: ['partials/card.html', '{{body}}']
  },
  'slots that there are not': {
    code: 'unexpected_slots', page: '<% card.html %><slot:header>x</slot:header><slot:body>x</slot:body>\n<slot:title>x</slot:title><%/ card.html %>', partials: CARD, marks: '<slot:title>', line: 2, column: 1
  },
  'slots that there are not, where front matter fills the others': {
    code: 'unexpected_slots', page: '<% card.html %>\n<slot:title>x</slot:title><%/ card.html %>', partials: CARD, frontMatter: { header: 'h', body: 'b' }, marks: '<slot:title>', line: 2, column: 1
  },
  'attributes that are missing': {
    code: 'missing_attrs', page: '<% named.html title="x" %/>', partials: NAMED, marks: '<% named.html title="x" %/>', line: 1, column: 1, related: ['partials/named.html', '{{@text}}']
  },
  'an image without a text': { code: 'missing_attrs', page: '<% img src="/static/a.png" %/>', marks: '<% img src="/static/a.png" %/>', line: 1, column: 1 },
  'a hole without a name': { code: 'missing_attrs', page: '<% hole %/>', marks: '<% hole %/>', line: 1, column: 1 },
  'an asset that there is not': {
    code: 'unresolved_asset', page: '<link\nhref="{{+ /static/x.css}}">', context: { asset: throwing('no such asset') }, marks: '{{+ /static/x.css}}', line: 2, column: 7
  },
  'an image of unknown size': {
    code: 'unresolved_image_meta', page: ' <% img src="/static/a.png" alt="" %/>', context: { image: throwing('?', { kind: 'unresolved_image_meta' }) }, marks: '<% img src="/static/a.png" alt="" %/>', line: 1, column: 2
  },
  'an image that is none': {
    code: 'non_image_src', page: '<% img src="/static/a.pdf" alt="" %/>', context: { image: throwing('?', { kind: 'non_image_src' }) }, marks: '<% img src="/static/a.pdf" alt="" %/>', line: 1, column: 1
  },
  'a tag without an end': { code: 'malformed_tag', page: '<p>\n<% card.html', marks: '<%', line: 2, column: 1 },
  'a tag without anything': { code: 'malformed_tag', page: '<% %>', marks: '<% %>', line: 1, column: 1 },
  'a closing tag without a name': { code: 'malformed_tag', page: '<%/ %>', marks: '<%/ %>', line: 1, column: 1 },
  'a closing tag that closes itself': { code: 'malformed_tag', page: '<%/ card.html %/>', marks: '<%/ card.html %/>', line: 1, column: 1 },
  'a quote that was forgotten': { code: 'malformed_tag', page: '<% card.html\n title="x %/>\n<p class="y">', marks: '"x %/>', line: 2, column: 8 },
  'an attribute without a value': { code: 'malformed_tag', page: '<% card.html open %/>', marks: 'open', line: 1, column: 14 },
  'an attribute with nothing behind "="': { code: 'malformed_tag', page: '<% card.html open= %/>', marks: ' ', line: 1, column: 19 },
  'a closing tag where none is open': { code: 'malformed_tag', page: 'x <%/ card.html %>', marks: '<%/ card.html %>', line: 1, column: 3 },
  'a closing tag of another': {
    code: 'malformed_tag', page: '<% card.html %>\n<%/ other.html %>', marks: '<%/ other.html %>', line: 2, column: 1, related: ['pages/index.html', '<% card.html %>']
  },
  'a partial that was to have no body': { code: 'unclosed_tag', page: '<% if test="a" %>\n<% card.html %>\n<%/ if %>', partials: CARD, marks: '<% card.html %>', line: 2, column: 1, related: ['pages/index.html', '<%/ if %>'] },
  'a closing tag of what has closed itself': { code: 'malformed_tag', page: '<% card.html %/>\n<%/ card.html %>', partials: CARD, marks: '<%/ card.html %>', line: 2, column: 1, related: ['pages/index.html', '<% card.html %/>'] },
  'a list without an end': { code: 'too_large', page: '<p>\n<% each of="n" %><%/ each %>', data: { n: endless() }, marks: '<% each of="n" %>', line: 2, column: 1 },
  'an output without an end': { code: 'too_large', page: '<% each of="n" as="a" %><% each of="n" as="b" %>{{= a}}<%/ each %><%/ each %>', data: { n: Array.from({ length: 900 }, () => 'x'.repeat(100)) }, marks: '<% each of="n" as="a" %>', line: 1, column: 1 },
  'loops that multiply': { code: 'too_large', page: '<% each of="n" %><% each of="n" %><% each of="n" %><%/ each %><%/ each %><%/ each %>', data: { n: Array(101).fill('') }, marks: '<% each of="n" %>', line: 1, column: 35 },
  'an image with a body': { code: 'malformed_tag', page: '<% img src="x" alt="" %>', marks: '<% img src="x" alt="" %>', line: 1, column: 1 },
  'a tag in an attribute': { code: 'malformed_tag', page: '<% card.html a="<% hole %>" %/>', marks: '<% hole %>', line: 1, column: 17 },
  '"else" by itself': { code: 'malformed_tag', page: 'a<% else %>', marks: '<% else %>', line: 1, column: 2 },
  'a partial that is not closed': { code: 'unclosed_tag', page: 'a\n<% card.html %>\nb', partials: CARD, marks: '<% card.html %>', line: 2, column: 1 },
  'a slot that is not closed': { code: 'unclosed_tag', page: '<% card.html %><slot:body>x<%/ card.html %>', partials: CARD, marks: '<slot:body>', line: 1, column: 16, related: ['pages/index.html', '<%/ card.html %>'] },
  'a slot that is open at the end': { code: 'unclosed_tag', page: '<% card.html %><slot:body>x', partials: CARD, marks: '<slot:body>', line: 1, column: 16 },
  'raw text that is not closed': { code: 'unclosed_tag', page: '<% raw %>x', marks: '<% raw %>', line: 1, column: 1 },
  'a tag that there is not': { code: 'unknown_tag', page: '<% include x="y" %/>', marks: '<% include x="y" %/>', line: 1, column: 1 },
  'more than a path': { code: 'malformed_value', page: '<p>{{= a + b }}</p>', marks: '{{= a + b }}', line: 1, column: 4 },
  'a filter with an argument': { code: 'malformed_value', page: '{{= a | date(1) }}', marks: '{{= a | date(1) }}', line: 1, column: 1 },
  'a list that is no path': { code: 'malformed_value', page: '<% each of="a()" %><%/ each %>', marks: 'of="a()"', line: 1, column: 9 },
  'a filter that there is not': { code: 'unknown_filter', page: '{{= a | shout }}', marks: '{{= a | shout }}', line: 1, column: 1 },
  'a filter that fails': { code: 'filter_failed', page: '{{= a | bad }}', data: { a: 1 }, filters: { bad: throwing('no') }, marks: '{{= a | bad }}', line: 1, column: 1 },
  'a value that is not there': { code: 'unknown_value', page: 'a\n  {{= post.titel}}', data: { post: { title: 'x' } }, marks: '{{= post.titel}}', line: 2, column: 3 },
  'a list that is not there': { code: 'unknown_value', page: '<% each of="posts" %><%/ each %>', marks: '<% each of="posts" %>', line: 1, column: 1 },
  'a value that has no text': { code: 'unprintable_value', page: '{{= post}}', data: { post: {} }, marks: '{{= post}}', line: 1, column: 1 },
  'a value that can\'t be read': { code: 'value_failed', page: '{{= post.title}}', data: { post: { get title () { throw new Error('no') } } }, marks: '{{= post.title}}', line: 1, column: 1 },
  'a list that is none': { code: 'not_iterable', page: '<% each of="n" %><%/ each %>', data: { n: 3 }, marks: '<% each of="n" %>', line: 1, column: 1 },
  'a value where none is safe': { code: 'unsafe_context', page: '<p>\n<a onclick="{{= x}}">', marks: '{{= x}}', line: 2, column: 13 },
  'text that makes a scheme of a value': { code: 'unsafe_context', page: '<a href="{{= x}}script:">', marks: ':', line: 1, column: 23 },
  'branches that lead to different places': { code: 'unbalanced_branch', page: 'x<% if test="a" %><a href="<%/ if %>">', marks: '<% if test="a" %>', line: 1, column: 2 },
  'a loop that does not come back': { code: 'unbalanced_branch', page: '<% each of="a" %><script><%/ each %>', marks: '<% each of="a" %>', line: 1, column: 1 },
  'a slot with half a tag': { code: 'unclosed_html', page: '<% card.html %><slot:body><b title="</slot:body><slot:header>x</slot:header><%/ card.html %>', partials: CARD, marks: '<slot:body>', line: 1, column: 16 },
  'a hole where nothing fills it': { code: 'hole_unavailable', page: '<% hole name=csrf %/>', marks: '<% hole name=csrf %/>', line: 1, column: 1 },
  'too many tags in each other': { code: 'too_deep', page: '<% if test="a" %>'.repeat(300), marks: '<% if test="a" %>', line: 1, column: 199 * 17 + 1 }
}

/** What stands above the carets of a frame. */
function marked (frame: string): string {
  const lines = frame.split('\n')
  const at = lines.findIndex(line => /^ +\| +\^+$/.test(line))
  const carets = lines[at] ?? ''
  return (lines[at - 1] ?? '').slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)
}

for (const [title, { page, code, marks, line, column, related, ...given }] of Object.entries(CASES)) {
  test(`${title} is told with its place: ${code}`, async t => {
    const problem = problemOf(page, given)
    t.match(problem, { code, file: 'pages/index.html', line, column })
    t.equal(marked(problem.frame), marks)
    t.equal(problem.related?.file, related?.[0])
    if (related !== undefined) t.equal(marked(problem.related?.frame ?? ''), related[1])
  })
}

test('partials that double each other are told, whatever they are made of', async t => {
  for (const [what, last] of Object.entries({ text: 'text', slot: '{{default?}}', attribute: '{{@a?}}', value: '{{= x}}', 'nothing at all of a value': '<% if test="x" %><%/ if %>' })) {
    const use = what === 'slot' ? (name: string) => `<% ${name} %>{{default?}}<%/ ${name} %>` : (name: string) => `<% ${name} ${what === 'attribute' ? 'a="{{@a?}}"' : ''} %/>`
    const partials = Object.fromEntries(Array.from({ length: 60 }, (_, nth) => [`p${nth}.html`, nth === 59 ? last : use(`p${nth + 1}.html`).repeat(2)]))
    const { code } = problemOf(`${use('p0.html').replace('{{default?}}', 'x').replace('{{@a?}}', 'x')}`, { partials, data: { x: 'x' } })
    t.equal(code, 'too_large', what)
  }
})

test('the probable cause of what shows further down is named', async t => {
  const card = { 'card.html': '{{default}}', 'layout.html': '{{default}}' }
  for (const [page, message] of [
    ['<% layuot.html %>\n<p>\n<%/ layout.html %>', 'unexpected closing tag: layout.html; one of "layuot.html" and "layout.html" is probably misspelt'],
    ['<% each of="x" %>x<%/ eahc %>', 'unexpected closing tag: eahc; one of "each" and "eahc" is probably misspelt'],
    ['<% eahc of="x" %>x<%/ each %>', /^"eahc" is neither .*; did you mean "each"\?$/],
    ['<% if test="a" %><% card.html %><%/ if %>', '"card.html" is not closed before <%/ if %>: <%/ card.html %> is missing, or the slash of %/> at its end'],
    ['<% card.html %>', '"card.html" is never closed: <%/ card.html %> is missing, or the slash of %/> at its end'],
    ['<% card.html %/>x<%/ card.html %>', 'unexpected closing tag: card.html: "card.html" has closed itself, by the slash of %/>'],
    ['<a<% if test="x" %> class="y"<%/ if %>>', 'this "if" ends in another place of the HTML than it begins in; a blank before the "if" would do'],
    ['x<% if test="a" %><a href="<%/ if %>">', 'this "if" ends in another place of the HTML than it begins in']
  ] as const) t.match(problemOf(page, { partials: card, data: { x: [1], a: 1 } }), { message }, page)
})

test('stray content, double slots and double attributes have their places, too', async t => {
  for (const [page, marks, other] of [
    ['<% card.html %>stray<slot:body>x</slot:body><%/ card.html %>', 'stray', undefined],
    ['<% card.html %><slot:body>x</slot:body><slot:body>x</slot:body><%/ card.html %>', '<slot:body>', '<slot:body>'],
    ['<% card.html a="1" a="2" %/>', 'a', 'a="1"']
  ] as const) {
    const problem = problemOf(page, { partials: CARD })
    t.equal(marked(problem.frame), marks)
    t.equal(problem.related === undefined ? undefined : marked(problem.related.frame), other)
  }
})

test('the message of an error has the place, both frames and the way to the page', async t => {
  const partials = { 'list.html': '<ul>\n<% item.html %/>\n</ul>', 'item.html': '<li>{{@title}}' }
  const error = caught(() => render('<% list.html %/>', { partials }))
  t.match(error, { name: 'TemplateError', code: 'FST_ISR_ERR_SITE_TEMPLATE', statusCode: 500 })
  t.equal(error.message, `partials/list.html:2:1 [missing_attrs] item.html needs the attribute title
  1 | <ul>
> 2 | <% item.html %/>
    | ^^^^^^^^^^^^^^^^
  3 | </ul>
partials/item.html:1:5 it is needed here
> 1 | <li>{{@title}}
    |     ^^^^^^^^^^
used by pages/index.html`)
  t.equal(error.message, formatProblem(error.problem))
})

test('what fails while it is rendered tells the way to the page, and its cause', async t => {
  const partials = { 'list.html': '<% each of="posts" as="p" %><% item.html %><slot:body>{{= p.title}}</slot:body><%/ item.html %><%/ each %>', 'item.html': '{{body}}{{= p.text}}' }
  t.match(problemOf('<% list.html %/>', { partials, data: { posts: [{ title: 'x' }] } }), { file: 'partials/item.html', usedBy: ['partials/list.html', 'pages/index.html'] })
  t.match(problemOf('<% list.html %/>', { partials, data: { posts: [{ text: 'x' }] } }), { file: 'partials/list.html', usedBy: ['pages/index.html'] })
  const cause = new Error('out of order')
  t.equal(caught(() => render('{{= a}}', { data: { get a () { throw cause } } })).cause, cause)
})

test('lines are those of the file, front matter and byte order mark included', async t => {
  const text = '---\ntitle: x\n---\n<p>\n{{= y}}'
  const set = compileTemplates([{ name: 'pages/a.html', text, bodyOffset: 17 }, { name: 'pages/b.html', text: '\uFEFF<p>' }])
  t.match(caught(() => set.render('pages/a.html', {}, contextOf())).problem, { line: 5, column: 1 })
  t.equal(set.render('pages/b.html', {}, contextOf()).html, '<p>')
})

test('a frame shows lines as they are numbered, with tabs, Windows line ends and a part of very long ones', async t => {
  t.equal(problemOf('a\r\n\t<b {{= x}}\r\nc').frame, '  1 | a\n> 2 | \t<b {{= x}}\n    | \t   ^^^^^^^\n  3 | c')
  const { frame, column } = problemOf(`<p>${'x'.repeat(5000)}<% no %/>${'y'.repeat(5000)}`)
  t.equal(column, 5004)
  t.equal(marked(frame), '<% no %/>')
  t.ok(frame.length < 300)
  t.match(problemOf(`${'\n'.repeat(9)}<% no %/>\n`).frame, /^ {3}8 \|\n {3}9 \|\n> 10 \| <% no %\/>\n/)
})

test('an unknown value is told with what there is instead', async t => {
  t.match(problemOf('{{= post.titel}}', { data: { post: { title: 'x', url: '/' } } }).message, /"post" has title, url/)
  t.match(problemOf('{{= post.title}}', { data: { post: null } }).message, /"post" is null/)
  t.match(problemOf('{{= post.title}}').message, /neither the data nor the front matter has "post"/)
})

test('errors of the code behind assets and images keep their kind, by name or by code', async t => {
  const page = '<% img src="/static/a.png" alt="" %/>'
  for (const [thrown, code] of [
    [Object.assign(new Error('x'), { code: 'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES' }), 'missing_attrs'],
    [Object.assign(new Error('x'), { kind: 'unresolved_asset' }), 'unresolved_asset'],
    [new Error('x'), 'unresolved_image_meta'],
    ['a string', 'unresolved_image_meta']
  ] as const) {
    const error = caught(() => render(page, { context: { image () { throw thrown } } }))
    t.equal(error.problem.code, code)
    t.equal(error.cause, thrown)
  }
})

test('a template that there is not is named, with one that was probably meant', async t => {
  t.match(caught(() => setOf('').render('pages/indx.html', {}, contextOf())).message, /there is no template "pages\/indx\.html"; did you mean "pages\/index\.html"/)
})
