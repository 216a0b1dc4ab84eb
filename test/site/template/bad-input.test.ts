// Templates and values that nobody means: they end in an error with a place or in harmless text, soon.
import { test } from 'tap'
import fc from 'fast-check'
import { TemplateError, compileTemplates } from '../../../lib/site/template/index.js'
import { holds } from '../../helpers/property.js'
import { caught, contextOf, problemOf, render, renderPage } from './helpers.js'

test('any text is a template or a problem with a place in it', async t => {
  const piece = fc.oneof(
    fc.constantFrom('<%', '%>', '%/>', '<%/', '<%%', '<%#', '{{', '}}', '{{=', '{{+', '{{@a}}', '"', "'", '=', ' a.html ', ' if ', ' each ', ' else ', ' raw ', ' img ', ' hole ', '<slot:a>', '</slot:a>', '\n', '\0', '\uFEFF', '<', '>', '&', '/', 'test="x"', 'of=x', 'name=x'),
    fc.string({ unit: 'binary', maxLength: 5 }))
  const text = fc.array(piece, { maxLength: 30 }).map(pieces => pieces.join(''))
  holds(t, fc.property(text, text, (page, partial) => {
    const set = compileTemplates([{ name: 'pages/p.html', text: page }, { name: 'partials/a.html', text: partial }])
    for (const { file, line, column, frame } of set.problems) {
      const lines = (file === 'pages/p.html' ? page : partial).split('\n')
      if (line < 1 || line > lines.length || column < 1 || column > (lines[line - 1] ?? '').length + 1 || frame === '') throw new Error(`${file}:${line}:${column}`)
    }
    try {
      set.render('pages/p.html', { x: 'x' }, contextOf())
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error
    }
  }), { numRuns: 500 })
})

test('values are never read as templates', async t => {
  const hostile = '<% a.html %/> {{= secret}} {{+ /static/x}} <slot:x> {{@a}} {{x}}'
  const partials = { 'a.html': 'EVIL', 'b.html': '{{@v}}{{s}}' }
  const text = render('<% b.html v="{{= v}}" %><slot:s>{{= v}}</slot:s><%/ b.html %>', { partials, data: { v: hostile, secret: 'SECRET' } })
  t.notMatch(text, /EVIL|SECRET/)
  t.equal(text, hostile.replaceAll('<', '&lt;').replaceAll('>', '&gt;').repeat(2))
})

test('the name of a partial leads to no other file', async t => {
  for (const name of ['../pages/index.html', './a.html', '..\\pages\\index.html', 'partials/../a.html', '__proto__.html', 'constructor.x']) {
    t.equal(problemOf(`<% ${name} %/>`, { partials: { 'a.html': '' } }).code, 'ref_not_found', name)
  }
})

test('thousands of tags in each other, or one after the other, are no trouble', async t => {
  t.equal(problemOf('<% a.html %><slot:x>'.repeat(10_000), { partials: { 'a.html': '{{x}}' } }).code, 'too_deep')
  t.equal(render('<% a.html %/>'.repeat(5000), { partials: { 'a.html': 'x' } }).length, 5000)
  t.equal(problemOf('<%'.repeat(50_000)).code, 'malformed_tag')
  t.equal(render('{{'.repeat(50_000)).length, 100_000)
  t.equal(render('<'.repeat(50_000)).length, 50_000)
})

test('what would be looked through again and again is looked through once', async t => {
  t.equal(render(`<% a.html b="${'%>'.repeat(100_000)}" %/>`, { partials: { 'a.html': '{{@b}}' } }), '%&gt;'.repeat(100_000))
  t.equal(renderPage('<slot:a>\n'.repeat(20_000)).warnings.at(-1)?.line, 20_000)
  t.equal(render(`<a href="//${'a'.repeat(100_000)}">`).length, 100_013)
})

test('partials of which each has many tags in each other are refused, in whatever order they are read', async t => {
  const deep = Array.from({ length: 50 }, (_, nth) => ({ name: `partials/${nth}.html`, text: '<% if test="a" %>'.repeat(190) + (nth < 49 ? `<% ${nth + 1}.html %/>` : '') + '<%/ if %>'.repeat(190) }))
  for (const files of [deep, deep.toReversed()]) {
    const set = compileTemplates([{ name: 'page', text: '<% 0.html %/>' }, ...files])
    t.equal(caught(() => set.render('page', { a: 1 }, contextOf())).problem.code, 'too_deep')
  }
})

test('partials that use each other in a long row are refused', async t => {
  const chain = Array.from({ length: 5000 }, (_, nth) => ({ name: `partials/${nth}.html`, text: `<% ${nth + 1}.html %/>` }))
  const set = compileTemplates([...chain, { name: 'partials/5000.html', text: 'x' }])
  t.match(set.problems[0], { code: 'too_deep' })
})

test('a text that ends with Windows line ends, zeros or halves of characters is written as it is', async t => {
  for (const text of ['a\r\nb\r\n', 'a\0b', 'a\uD800b']) {
    t.equal(render(text), text)
    t.equal(render('{{= x}}', { data: { x: text } }), text)
  }
})

test('what a value can\'t be is an error with its place, not a text', async t => {
  for (const v of [{}, [], [1], new Date(), () => 1, Symbol('s'), Object.create(null), new Map(), { toString: () => ({}) }, { toString () { throw new Error('no') } }]) t.match(problemOf('\n{{= v}}', { data: { v } }), { code: 'unprintable_value', line: 2, column: 1 })
  t.equal(render('{{= v}}', { data: { v: new URL('https://a.example/?a&b') } }), 'https://a.example/?a&amp;b')
  for (const [v, text] of [[0, '0'], [1n, '1'], [false, 'false'], [null, ''], [NaN, 'NaN']]) t.equal(render('{{= v}}', { data: { v } }), text)
  t.equal(problemOf('<% a.html %/>', { partials: { 'a.html': '{{tags}}' }, frontMatter: { tags: ['a'] } }).code, 'unprintable_value')
})

test('what all objects inherit is no value, whatever they are', async t => {
  for (const v of [[1], 'text', 1, new Map(), new Date(), () => 1, {}]) {
    for (const path of ['v.constructor', 'v.constructor.name', 'v.toString', 'v.valueOf.length', 'v.hasOwnProperty', 'constructor', 'toString.name']) t.equal(problemOf(`{{= ${path} }}`, { data: { v } }).code, 'unknown_value', path)
    t.equal(render('<% if test="v.constructor" %>yes<%/ if %>', { data: { v } }), '')
  }
  t.equal(render('{{= v.constructor }}', { data: { v: { constructor: 'Ferrari' } } }), 'Ferrari')
})

test('getters, lists and proxies that fail are told with their place', async t => {
  let reads = 0
  const data = { get once () { if (reads++ > 0) throw new Error('again'); return {} }, list: Object.assign([1], { [Symbol.iterator] () { throw new Error('no way') } }), proxy: new Proxy({}, { get () { throw new Error('hidden') }, has () { throw new Error('hidden') } }) }
  t.equal(problemOf('{{= once.a }}', { data }).code, 'unknown_value')
  t.match(problemOf('<% each of="list" %>x<%/ each %>', { data }), { code: 'value_failed', message: /no way/ })
  t.match(problemOf('<% each of="proxy" %>x<%/ each %>', { data }), { code: 'value_failed', message: /hidden/ })
  t.equal(problemOf('{{= proxy.a }}', { data }).code, 'value_failed')
  t.equal(problemOf('{{= proxy }}', { data }).code, 'unprintable_value')
})
