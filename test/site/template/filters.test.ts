import { test } from 'tap'
import { SafeHtml, compileTemplates } from '../../../lib/site/template/index.js'
import { contextOf, problemOf, render } from './helpers.js'

const filtered = (filter: string, value: unknown): string => render(`{{= value? | ${filter} }}`, { data: { value } })

test('"date" writes days as people do, in the language of the options, and leaves what is none', async t => {
  for (const value of ['2026-02-25', '2026-02-25T23:59:59Z', '2026-02-25T23:59', '2026-02-25 23:59:59.5Z', '2026-02-25T10:00+0100', new Date('2026-02-25'), Date.UTC(2026, 1, 25)]) t.equal(filtered('date', value), 'Feb 25, 2026')
  for (const value of ['soon', 'Post 1', '2026-13-99', '2026-02-30', '2025-02-29T10:00', '2026-02-25T25:00', '', null, undefined]) t.equal(filtered('date', value), value ?? '')
  t.equal(compileTemplates([{ name: 'p', text: '{{= d | date }}' }], { language: 'de' }).render('p', { d: '2026-02-25' }, contextOf()).html, '25.02.2026')
  t.equal(problemOf('{{= d | date }}', { data: { d: new Date(NaN) } }).code, 'filter_failed')
  t.equal(problemOf('{{= d | date }}', { data: { d: {} } }).code, 'filter_failed')
})

test('"iso" is for machines', async t => {
  t.equal(filtered('iso', '2026-02-25'), '2026-02-25')
  t.equal(filtered('iso', new Date('2026-02-25')), '2026-02-25T00:00:00.000Z')
  t.equal(filtered('iso', '2026-02-25 10:30:00.25+01:00'), '2026-02-25T09:30:00.250Z')
  for (const d of ['soon', '2026-02-30']) t.equal(problemOf('{{= d | iso }}', { data: { d } }).code, 'filter_failed')
})

test('"json" writes data into scripts, and as text elsewhere', async t => {
  const data = { o: { a: '</script><!--&\u2028"' } }
  t.equal(render('<script>x = {{= o | json }}</script>', { data }), '<script>x = {"a":"\\u003c/script\\u003e\\u003c!--\\u0026\\u2028\\""}</script>')
  t.equal(render('<p data-o="{{= o | json}}">', { data: { o: ['"'] } }), '<p data-o="[&quot;\\&quot;&quot;]">')
  t.equal(render('<script>x = {{= o? | json }}</script>'), '<script>x = null</script>')
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  for (const o of [circle, 1n, () => 1]) t.match(problemOf('<script>x = {{= o | json }}</script>', { data: { o } }), { code: 'filter_failed', line: 1, column: 13 })
})

test('"url" makes a part of a URL, whatever stands in it', async t => {
  t.equal(render('<a href="/tag/{{= tag | url }}?q={{= tag | url }}">', { data: { tag: 'a/b?&\u00E9' } }), '<a href="/tag/a%2Fb%3F%26%C3%A9?q=a%2Fb%3F%26%C3%A9">')
  t.equal(filtered('url', 'a\uD800'), 'a%EF%BF%BD')
})

test('"count" counts characters, items and entries', async t => {
  for (const value of ['abc', [1, 2, 3], new Set([1, 2, 3]), new Map([[1, 1], [2, 2], [3, 3]]), (function * () { yield * [1, 2, 3] })()]) t.equal(filtered('count', value), '3')
  t.equal(problemOf('{{= n | count }}', { data: { n: 3 } }).code, 'filter_failed')
})

test('own filters stand beside the built-in ones, in a row, and what they return is escaped', async t => {
  const filters = { shout: (value: unknown) => `${String(value).toUpperCase()}!<`, bold: (value: unknown) => new SafeHtml(`<b>${String(value).length}</b>`), or: (value: unknown) => value ?? 'none' }
  t.equal(render('{{= x | shout | shout }}', { data: { x: 'a' }, filters }), 'A!&lt;!&lt;')
  t.equal(render('{{= x | bold }}<i title="{{= x | bold }}">', { data: { x: 'a' }, filters }), '<b>1</b><i title="&lt;b&gt;1&lt;/b&gt;">')
  t.equal(render('{{= x? | or }}', { filters }), 'none')
  t.equal(render('<a href="{{= x | link }}">', { data: { x: 'a' }, filters: { link: () => 'javascript:alert(1)' } }), '<a href="about:invalid#blocked">')
})

test('filters that can\'t be used are refused at once', async t => {
  for (const filters of [{ 'a b': String }, { json: String }, { a: 1 as unknown as () => string }]) {
    t.throws(() => compileTemplates([], { filters }), { code: 'FST_ISR_ERR_SITE_FILTER' })
  }
})
