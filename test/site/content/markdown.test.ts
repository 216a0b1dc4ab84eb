import fc from 'fast-check'
import type { MarkdownIt } from 'markdown-it'
import t from 'tap'
import { loadMarkdown } from '../../../lib/site/content/markdown.js'
import { endOfTag } from '../../../lib/site/content/tag-scanner.js'
import { compileTemplates } from '../../../lib/site/template/index.js'
import { holds } from '../../helpers/property.js'

const markdown = await loadMarkdown()
const html = (text: string): string => markdown.render(text).html

/** What a visitor gets of it, with partials that show what they were given. */
function render (text: string, partials: Record<string, string> = {}): string {
  const set = compileTemplates([
    { name: 'pages/a.md', text: html(text) },
    ...Object.entries(partials).map(([name, text]) => ({ name: `partials/${name}`, text }))
  ])
  return set.render('pages/a.md', { secret: 'SECRET' }, { asset: path => path, image: ({ src }) => `<img src="${src}">` }).html
}

t.test('Markdown is HTML, with tables and ids for headings', async (t) => {
  t.equal(html('# Hi *you*\n\nA [link](/b "t").\n'), '<h1 id="hi-you">Hi <em>you</em></h1>\n<p>A <a href="/b" title="t">link</a>.</p>\n')
  t.match(html('| a |\n| - |\n| b |'), '<td>b</td>')
})

t.test('columns are aligned without a style, which a strict Content-Security-Policy would refuse', async (t) => {
  const table = html('| a | b | c | d |\n| - | :-- | :-: | --: |\n| 1 | 2 | 3 | 4 |')
  t.match(table, '<th>a</th>\n<th align="left">b</th>\n<th align="center">c</th>\n<th align="right">d</th>')
  t.match(table, '<td align="right">4</td>')
  t.notMatch(table, 'style')
})

t.test('the head of a column that has no words is an empty cell', async (t) => {
  t.equal(html('| | a |\n| - | -: |\n| 1 | |'), '<table>\n<thead>\n<tr>\n<td></td>\n<th align="right">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td align="right"></td>\n</tr>\n</tbody>\n</table>\n')
})

t.test('the table of contents lists headings with ids of their own', async (t) => {
  const { toc, html } = markdown.render('# A\n\n## a\n\n## A 1\n\n### `code` & *more*\n\n## ÄÖ 漢字\n\n## !!!\n\n## a')
  t.same(toc, [
    { id: 'a', text: 'A', level: 1 },
    { id: 'a-1', text: 'a', level: 2 },
    { id: 'a-1-1', text: 'A 1', level: 2 },
    { id: 'code-more', text: 'code & more', level: 3 },
    { id: 'äö-漢字', text: 'ÄÖ 漢字', level: 2 },
    { id: 'section', text: '!!!', level: 2 },
    { id: 'a-2', text: 'a', level: 2 }
  ])
  for (const { id } of toc) t.match(html, `id="${id}"`)
  t.same(markdown.render('# a 1\n\n# a\n\n# a').toc.map(({ id }) => id), ['a-1', 'a', 'a-2'])
})

t.test('HTML is shown, and a link can run nothing', async (t) => {
  t.notMatch(html('<script>alert(1)</script>\n\n<b onclick=x>'), /<script|<b/)
  t.notMatch(html('[a](javascript:alert(1)) ![b](javascript:alert(1)) <javascript:alert(1)> [c](data:text/html,x)'), /(?:href|src)="(?:javascript|data)/)
})

t.test('code is highlighted by class names, in the languages that were loaded', async (t) => {
  t.match(html('```js\nconst a = "b"\n```'), /<code class="language-js"><span class="hljs-keyword">const<\/span>/)
  t.equal(html('```cobol\na < b\n```'), '<pre><code class="language-cobol">a &lt; b\n</code></pre>\n')
  const own = await loadMarkdown({ highlight: (code, language) => `<i>${language}</i>${code.length}\0{{x}}` })
  t.equal(own.render('```a\nb\n```').html, '<pre><code class="language-a"><i>a</i>2\ufffd&#123;&#123;x}}</code></pre>\n')
  const plain = await loadMarkdown({ highlight: false })
  t.equal(plain.render('```js\nconst\n```').html, '<pre><code class="language-js">const\n</code></pre>\n')
  const few = await loadMarkdown({ languages: ['elixir'] })
  t.match(few.render('```elixir\ndef a do\n```').html, 'hljs-keyword')
  t.notMatch(few.render('```js\nconst a = 1\n```').html, 'hljs')
})

t.test('other rules may be added, and what they make is no template either', async (t) => {
  const own = await loadMarkdown({
    use (markdown: MarkdownIt) {
      markdown.renderer.rules['table_open'] = () => '<div tabindex="0"><table title="{{x}}<% a.html %/>">\n'
      markdown.renderer.rules['table_close'] = () => '</table></div>\n'
    }
  })
  t.match(own.render('| a |\n| - |\n| b |').html, /^<div tabindex="0"><table title="&#123;&#123;x}}&lt;% a\.html %\/>">\n<thead>[^]*<\/table><\/div>\n$/)
})

t.test('a language that highlight.js has not is refused with its name', async (t) => {
  const code = 'FST_ISR_ERR_SITE_LANGUAGE'
  await t.rejects(loadMarkdown({ languages: ['klingon'] }), { code, message: /'klingon'/ })
  await t.rejects(loadMarkdown({ languages: ['../../../package'] }), { code })
})

t.test('tags alone on their lines are blocks, elsewhere they are inline', async (t) => {
  const partials = { 'note.html': '<aside>{{default}}</aside>', 'x.html': '[{{@a}}]' }
  t.equal(render('before\n<% x.html a="1" %/>\nafter', partials), '<p>before</p>\n[1]\n<p>after</p>\n')
  t.equal(render('a <% x.html a="1" %/> *b* [<% x.html a="2" %/>](/c)', partials), '<p>a [1] <em>b</em> <a href="/c">[2]</a></p>\n')
  t.equal(render('<% img\n  src="/static/a.png"\n  alt="a > b %> c"\n%/>'), '<img src="/static/a.png">\n')
  t.equal(render('<% note.html %>\n\nSome *text*.\n\n<%/ note.html %>', partials), '<aside>\n<p>Some <em>text</em>.</p>\n</aside>\n')
  t.equal(render('- a\n\n  <% x.html a="1" %/>\n', partials), '<ul>\n<li>\n<p>a</p>\n[1]\n</li>\n</ul>\n')
  t.equal(render('> <% x.html\n> a="1" %/>\n', partials), '<blockquote>\n[1]\n</blockquote>\n', 'the marks of a quotation are no part of a tag')
  t.equal(render('# A <% x.html a="1" %/>', partials), '<h1 id="a">A [1]</h1>\n')
})

t.test('what Markdown shows can never be read as a tag or a placeholder', async (t) => {
  const texts = ['{{secret}}', '{{= secret }}', '{{+ /static/x.css }}', '{{@a}}', '<%', '<% open', '<%% x %>', '\\<% x.html %/>', '{{{{', '{<!-- -->{', '&#123;{= secret }}', '&lbrace;&lbrace;= secret }}', '&lt;% x.html %/&gt;', '{\\{= secret }}', '{*{= secret }}*']
  const places = [(x: string) => x, (x: string) => `\`${x}\``, (x: string) => `\`\`\`\n${x}\n\`\`\``, (x: string) => `    ${x}`, (x: string) => `\`\`\`${x}\ncode\n\`\`\``, (x: string) => `![${x}](/a "${x}")`, (x: string) => `[a](/b?${x} '${x}')`, (x: string) => `[a][b]\n\n[b]: </c${x}> "${x}"`, (x: string) => `# ${x}`, (x: string) => `| ${x} |\n| - |\n| ${x} |`, (x: string) => `<b title="${x}">`]
  for (const place of places) {
    for (const text of texts) {
      const source = place(text)
      t.notMatch(html(source), /\{\{|<%/, source)
      t.notMatch(render(source), /SECRET/, source)
    }
  }
})

t.test('in code, tags are shown as they were written', async (t) => {
  t.equal(html('`<% img src="a" %/>`'), '<p><code>&lt;% img src=&quot;a&quot; %/&gt;</code></p>\n')
  t.equal(html('```\n<% x.html %/>\n{{x}}\n```'), '<pre><code>&lt;% x.html %/&gt;\n&#123;&#123;x}}\n</code></pre>\n')
  t.equal(html('    <% x.html %/>'), '<pre><code>&lt;% x.html %/&gt;\n</code></pre>\n')
})

t.test('a tag ends where the compiler sees its end', async (t) => {
  const cases: [text: string, end: number][] = [
    ['<% a %/> b', 8], ['<% a %> b', 7], ['<%/ a %>', 8], ['<% a b="%>" %/>', 15], ["<% a b='%/>\"' %/>", 17], ['<%# note %>', 11], ["<%# it's %>", 11], ['<%#-- <% a %> --%>', 18], ['<%#-- <% a %>', -1],
    ['<%', -1], ['<% a', -1], ['<% a "%/>', -1], ['<%% a %>', -1], ['<% a <% b %/>', -1], ['a', -1], [`<% ${'x'.repeat(10_000)} %/>`, -1]
  ]
  for (const [text, end] of cases) t.equal(endOfTag(text, 0), end, text.slice(0, 40))
})

t.test('texts made to be slow are not', async (t) => {
  const hostile = ['<% ', '<% "', '<% \'', "<%\"'", '<% a\n', '<% "\n', '<% x %', '%/>', '<%<%', '> <% "\n', '- <% a\n', '# a\n']
  let looked = 0
  for (const piece of hostile) {
    const text = piece.repeat(Math.floor(200_000 / piece.length))
    looked += html(text).length
    looked += html(`<% '${text}`).length
  }
  // In a table, a tag may stand otherwise than it is read, and is found nowhere.
  looked += html('| a |\n| - |\n' + '| <% a.html t="x\\|y" %/> |\n'.repeat(20_000)).length
  t.ok(looked > 0, 'this ends in seconds, or the time limit of the suite ends it')
})

t.test('any text is a template without errors, and without what it must not show', async (t) => {
  const piece = fc.constantFrom('{{', '}}', '{', '= secret ', '<%', '<', '%', '%/>', '%>', '"', "'", '`', '```\n', '\n', '\n\n', '> ', '- ', '# ', '    ', '[', ']', '(', ')', '!', '|', '*', '\\', '&lt;', '&#123;', '&#0;', '\0', 'a', '/')
  holds(t, fc.property(fc.array(piece, { maxLength: 25 }), pieces => {
    const text = pieces.join('')
    // Tags that an author wrote are meant to be such.
    for (let at = text.indexOf('<%'); at !== -1; at = text.indexOf('<%', at + 1)) fc.pre(endOfTag(text, at) === -1)
    return !/\{\{|<%|\0/.test(html(text)) && !render(text).includes('SECRET')
  }), { numRuns: 1500 })
})
