import { test } from 'tap'
import { type TemplateFile, compileTemplates } from '../../../lib/site/template/index.js'
import { caught, contextOf, setOf } from './helpers.js'

const FILES: TemplateFile[] = [
  { name: 'pages/index.html', text: '<% list.html %/>' },
  { name: 'pages/about.html', text: '<% footer.html %/>' },
  { name: 'partials/list.html', text: '<% each of="items" %><% item.html %/><%/ each %>' },
  { name: 'partials/item.html', text: '<li>{{= it}}' },
  { name: 'partials/footer.html', text: '<p>{{+ /static/logo.svg}}' }
]

function changed (name: string, text: string): TemplateFile[] {
  return FILES.map(file => file.name === name ? { name, text } : file)
}

test('a set knows its templates and what each depends on', async t => {
  const set = compileTemplates(FILES)
  t.equal(set.has('pages/index.html'), true)
  t.equal(set.has('pages/no.html'), false)
  t.same([...set.dependencies('pages/index.html')].sort(), ['partials/item.html', 'partials/list.html'])
  t.same([...set.dependencies('pages/about.html')].sort(), ['asset:/static/logo.svg', 'partials/footer.html'])
  t.same([...set.dependencies('pages/no.html')], [])
})

test('images are among the dependencies, also those whose path only the render knows', async t => {
  const set = setOf('<% img src="/static/a.png" alt="" %/><% img src="{{= src}}" alt="" %/>')
  const render = (src: string): string[] => [...set.render('pages/index.html', { src }, contextOf()).deps].sort()
  t.same(render('/static/b.png'), ['asset:/static/a.png', 'asset:/static/b.png', 'pages/index.html'])
  t.same(render('/static/c.png'), ['asset:/static/a.png', 'asset:/static/c.png', 'pages/index.html'])
})

test('a broken template breaks what uses it, and nothing else', async t => {
  const set = compileTemplates(changed('partials/item.html', '<li>{{= it'.concat('}}<% ')))
  t.match(set.problems, [{ code: 'malformed_tag', file: 'partials/item.html', usedBy: ['pages/index.html', 'partials/list.html'] }])
  t.equal(set.problems.length, 1)
  t.match(caught(() => set.render('pages/index.html', { items: [1] }, contextOf())).problem, { file: 'partials/item.html', usedBy: ['partials/list.html', 'pages/index.html'] })
  t.equal(set.render('pages/about.html', {}, contextOf()).html, '<p>/static/logo.abc.svg')
})

test('every broken template is told once', async t => {
  const set = compileTemplates([{ name: 'pages/a.html', text: '<%' }, { name: 'pages/b.html', text: '<% no.html %/>' }, { name: 'pages/c.html', text: 'ok' }])
  t.same(set.problems.map(({ file, code, usedBy }) => [file, code, usedBy]), [['pages/a.html', 'malformed_tag', undefined], ['pages/b.html', 'ref_not_found', undefined]])
})

test('a new set compiles what has changed and what uses that; the old one stays as it was', async t => {
  const log: string[] = []
  // A filter is asked for once per compilation of a template that names it.
  const files = (item: string): TemplateFile[] => [
    { name: 'pages/a.html', text: '<% item.html %/>' }, { name: 'pages/b.html', text: '{{= x | spy }}' }, { name: 'partials/item.html', text: item }
  ]
  const filters = { spy: (value: unknown) => { log.push(String(value)); return value } }
  const before = compileTemplates(files('one'), { filters })
  const after = compileTemplates(files('two'), { filters, previous: before })
  t.equal(before.render('pages/a.html', {}, contextOf()).html, 'one')
  t.equal(after.render('pages/a.html', {}, contextOf()).html, 'two')
  t.equal(after.render('pages/b.html', { x: 1 }, contextOf()).deps.size, 1)
  t.same(log, ['1'])
})

test('what has not changed is shared by the sets', async t => {
  const before = compileTemplates(FILES)
  const same = compileTemplates(FILES, { previous: before })
  const after = compileTemplates(changed('partials/item.html', '<li>!{{= it}}'), { previous: before })
  const others = compileTemplates(FILES, { previous: before, language: 'de' })
  t.equal(same.dependencies('pages/index.html'), before.dependencies('pages/index.html'))
  t.equal(after.dependencies('pages/about.html'), before.dependencies('pages/about.html'))
  t.not(after.dependencies('pages/index.html'), before.dependencies('pages/index.html'))
  t.not(others.dependencies('pages/about.html'), before.dependencies('pages/about.html'))
  t.equal(after.render('pages/index.html', { items: [1] }, contextOf()).html, '<li>!1')
})

test('a partial that appears, disappears or begins a cycle is noticed by what uses it', async t => {
  const page = { name: 'pages/a.html', text: '<% item.html %/>' }
  const without = compileTemplates([page])
  t.match(without.problems, [{ code: 'ref_not_found' }])
  const having = compileTemplates([page, { name: 'partials/item.html', text: 'x' }], { previous: without })
  t.equal(having.render('pages/a.html', {}, contextOf()).html, 'x')
  t.match(compileTemplates([page], { previous: having }).problems, [{ code: 'ref_not_found' }])
  const cycle = compileTemplates([page, { name: 'partials/item.html', text: '<% item.html %/>' }], { previous: having })
  t.match(cycle.problems, [{ code: 'cycle' }])
})

test('names may have the separators of Windows', async t => {
  const set = compileTemplates([{ name: 'pages\\blog\\a.html', text: '<% blog\\item.html %/>' }, { name: 'partials\\blog\\item.html', text: 'x' }])
  t.same(set.problems, [])
  t.equal(set.has('pages/blog/a.html'), true)
  t.same(set.render('pages\\blog\\a.html', {}, contextOf()), { html: 'x', deps: new Set(['pages/blog/a.html', 'partials/blog/item.html']), warnings: [] })
})

test('a partial can be rendered by itself, with front matter in its slots', async t => {
  const set = setOf('', { partials: { 'a.html': '{{title}}!', 'b.html': '{{@x}}' } })
  t.equal(set.render('partials/a.html', {}, contextOf({ frontMatter: { title: '<' } })).html, '&lt;!')
  t.equal(caught(() => set.render('partials/a.html', {}, contextOf())).problem.code, 'missing_slots')
  t.equal(caught(() => set.render('partials/b.html', {}, contextOf())).problem.code, 'missing_attrs')
})

test('a warning is told once, and by everything that uses the template', async t => {
  const set = setOf('<% a.html %/><% a.html %/>', { partials: { 'a.html': '{{ x }}' } })
  t.equal(set.render('pages/index.html', {}, contextOf()).warnings.length, 1)
})

test('<slot:…> that fills nothing is a warning', async t => {
  t.match(setOf('<slot:a>x</slot:a>').render('pages/index.html', {}, contextOf()), { html: '<slot:a>x</slot:a>', warnings: [{ code: 'stray_slot' }] })
})
