import { test } from 'tap'
import { SafeHtml } from '../../../lib/site/template/index.js'
import { outcomeOf, problemOf, render } from './helpers.js'

const data = { x: '"><script>alert(1)</script>\'&', u: 'javascript:alert(1)', safe: new SafeHtml('<b title="x">y</b>') }
const ESCAPED = '&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#39;&amp;'
const write = (page: string, more = {}): string => render(page, { data: { ...data, ...more } })

test('text is escaped between tags, in attributes and in titles', async t => {
  for (const [before, after] of [['<p>', '</p>'], ['<p title="', '">'], ["<p title='", "'>"], ['<title>', '</title>'], ['<textarea>', '</textarea>'], ['<p data-x = "', '">']]) {
    t.equal(write(`${before}{{= x}}${after}`), `${before}${ESCAPED}${after}`)
  }
})

test('markup that code vouches for stays markup between tags, and is text elsewhere', async t => {
  t.equal(write('<p>{{= safe}}</p>'), '<p><b title="x">y</b></p>')
  t.equal(write('<p title="{{= safe}}">'), '<p title="&lt;b title=&quot;x&quot;&gt;y&lt;/b&gt;">')
  t.equal(write('<title>{{= safe}}</title>'), '<title>&lt;b title=&quot;x&quot;&gt;y&lt;/b&gt;</title>')
  t.equal(render('<% a.html text="{{= safe}}" %/>', { data, partials: { 'a.html': '{{@text}}<i title="{{@text}}">' } }), '<b title="x">y</b><i title="&lt;b title=&quot;x&quot;&gt;y&lt;/b&gt;">')
})

test('slots are markup, and text where only text may stand', async t => {
  const partials = { 'a.html': '<meta content="{{description}}"><title>{{description}}</title>{{description}}' }
  t.equal(render('<% a.html %><slot:description>A &amp; "B" <b>c</b></slot:description><%/ a.html %>', { partials }),
    '<meta content="A &amp; &quot;B&quot; &lt;b&gt;c&lt;/b&gt;"><title>A &amp; &quot;B&quot; &lt;b&gt;c&lt;/b&gt;</title>A &amp; "B" <b>c</b>')
})

test('a URL from a value must have a scheme that runs nothing', async t => {
  for (const url of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', ' javascript:alert(1)', 'java\tscript:alert(1)', '\u0001javascript:alert(1)', 'vbscript:x', 'data:text/html,x', 'view-source:x', 'blob:x']) {
    t.equal(write('<a href="{{= u}}">', { u: url }), '<a href="about:invalid#blocked">', JSON.stringify(url))
  }
  for (const url of ['/a?b=1', 'a/b', '?q=javascript:', '#x', 'https://a.example/', 'HTTP://a.example', 'mailto:a@b.example', 'tel:1', '//a.example/', 'a', '', '1:2']) {
    t.equal(write('<a href="{{= u}}">', { u: url }), `<a href="${url}">`, url)
  }
  t.equal(write('<a href="/x?u={{= u}}">'), '<a href="/x?u=javascript:alert(1)">')
  t.equal(write('<a href="{{= u}}">', { u: new SafeHtml('javascript&#58;alert(1)') }), '<a href="about:invalid#blocked">')
})

test('slots and attributes are checked as URLs, too, entities and all', async t => {
  const partials = { 'a.html': '<a href="{{@u}}">', 'b.html': '<a href="{{u}}">' }
  const links = (u: string): string[] => [
    render(`<% a.html u="${u}" %/>`, { partials, data }), render(`<% b.html %><slot:u>${u}</slot:u><%/ b.html %>`, { partials, data })
  ]
  t.same(links('/a?b=1&amp;c=2'), ['<a href="/a?b=1&amp;c=2">', '<a href="/a?b=1&amp;c=2">'])
  for (const u of ['{{= u}}', 'java&#115;cript:x', 'javascript&colon;x', 'java&Tab;script:x', 'java&NewLine;script:x']) t.same(links(u), ['<a href="about:invalid#blocked">', '<a href="about:invalid#blocked">'], u)
  t.same(render('<% a.html u="java{{= rest}}" %/>', { partials, data: { rest: 'script:x' } }), '<a href="about:invalid#blocked">')
})

test('what runs as a part of the page comes from the own site', async t => {
  for (const [before, after] of [['<script src="', '"></script>'], ['<embed src="', '">'], ['<object data="', '"></object>'], ['<base href="', '">']]) {
    t.equal(write(`${before}{{= u}}${after}`, { u: '/a.js' }), `${before}/a.js${after}`)
    for (const u of ['//evil.example/a.js', '\\\\evil.example', 'https://evil.example/a.js', '/\t/evil.example', ' //evil.example']) t.equal(write(`${before}{{= u}}${after}`, { u }), `${before}about:invalid#blocked${after}`, u)
    for (const head of ['/', 'https://', 'https://cdn.', '//']) t.equal(problemOf(`${before}${head}{{= u}}${after}`, { data }).code, 'unsafe_context', head)
    for (const head of ['/js/', 'https://cdn.example/', '//cdn.example/', '?x=', './']) t.equal(write(`${before}${head}{{= u}}${after}`, { u: 'a' }), `${before}${head}a${after}`, head)
    t.equal(problemOf(`${before}{{= u}}/x{{= u}}${after}`, { data }).code, 'unsafe_context')
  }
})

const REFUSED = [
  '<a href={{= x}}>', '<a href= {{= x}}>', '<{{= x}}>', '</{{= x}}>', '<a {{= x}}="1">', '<a b{{= x}}="1">', '<a{{= x}}>', '<a b="1"{{= x}}>',
  '<p style="{{= x}}">', '<a onclick="{{= x}}">', '<a ONCLICK="{{= x}}">', '<iframe srcdoc="{{= x}}">', '<svg><set to="{{= x}}">',
  '<!-- {{= x}} -->', '<!{{= x}}>', '<!-{{= x}}->', '<?{{= x}}>', '<![CDATA[{{= x}}]]>', '</ {{= x}}>',
  '<style>{{= x}}</style>', '<script>{{= x}}</script>', '<xmp>{{= x}}</xmp>', '<noscript>{{= x}}</noscript>', '<iframe>{{= x}}</iframe>', '<plaintext>{{= x}}',
  '<title></tit{{= x}}le>', '<textarea><{{= x}}', '<scr<%# %>ipt>{{= x}}</script>', '<scr<% raw %>ipt><%/ raw %>{{= x}}</script>',
  '<svg><style>{{= x}}</style></svg>', '<svg><p></p>{{= x}}</svg>', '<svg><desc><title>{{= x}}', '<svg></math>{{= x}}', '<svg></p>{{= x}}', '<select><style></style>{{= x}}',
  '<a href="java{{= x}}">', '<a href="javascript:{{= x}}">', '<a href="data:{{= x}}">', '<a href="{{= x}}{{= x}}">', '<a href="{{= x}}:b">', '<a href="{{= x}}&colon;">',
  '<a href="{{= x}}&#58;">', '<a href="{{= x}}&#58">', '<a href="{{= x}}&foo;">', '<a href="&foo;{{= x}}">', '<a href=" {{= x}}script:">', '<a href="java&#115;{{= x}}">', '<a href="&{{= x}}">',
  '<a href="&#00000000000106;{{= x}}">', '<a href="&#x000000006a;{{= x}}">', '<a href="{{= x}}&#x000000003a;b">',
  '<div><svg></div><script/>{{= x}}', '<div><svg></div><title><!-- </title><script> --> {{= x}}', '<svg><title></b a="</title><b c={{= x}}>">', '<div><svg></div><select></svg>{{= x}}', '<select><template></template>{{= x}}',
  '<a <% if test="x" %>href<% else %>title<%/ if %>="{{= x}}">', '<a =b="{{= x}}">',
  '<a href="<% if test="x" %>java<%/ if %>{{= x}}">', '<a href="<% each of="x" %>{{= it}}<%/ each %>">'
]

test('a value is refused where nothing makes it safe', async t => {
  for (const page of REFUSED) {
    const outcome = outcomeOf(() => render(page, { data }))
    t.match(outcome, /^(?:unsafe_context|unbalanced_branch)$/, page)
  }
})

test('a value is accepted where there is no doubt', async t => {
  for (const page of [
    'a < {{= x}}', '<!doctype html>{{= x}}', '<!-- a -->{{= x}}', '<!-->{{= x}}', '<!--->{{= x}}', '<!-- --!>{{= x}}', '</>{{= x}}', '<?x?>{{= x}}', '<br/>{{= x}}', '<a href=b>{{= x}}', '<a b>{{= x}}</a b="{{= x}}">',
    '<noscript><a b="</noscript>{{= x}}', '<script>a < b</script>{{= x}}', '<style>a > b</style>{{= x}}', '<script/>x</script>{{= x}}', '<title/></title>{{= x}}',
    '<svg><title>{{= x}}</title><path d="{{= x}}"/></svg>{{= x}}', '<svg><style>a{}</style></svg>{{= x}}', '<math><mi>{{= x}}</mi></math>', '<select><option value="{{= x}}">{{= x}}</select>',
    '<a href="{{= x}}/b">', '<a href="{{= x}}?b={{= x}}">', '<a href="{{= x}}&amp;b={{= x}}">', '<a href="https://{{= x}}">', '<a href="?{{= x}}{{= x}}">', '<a href="a/{{= x}}:{{= x}}">', '<a href="mailto:{{= x}}">',
    '<a <% if test="x" %>hidden<%/ if %>>{{= x}}', '<a <% if test="x" %>hidden <%/ if %>title="{{= x}}">', '<a class="a<% if test="x" %> b<%/ if %>" title="{{= x}}">',
    '<a href="<% if test="x" %>/a/<% else %>https://b.example/<%/ if %>{{= x}}">', '<script><!-- <script> </script> --></script>{{= x}}'
  ]) t.doesNotThrow(() => write(page), page)
})

test('JSON stands in scripts between tokens alone', async t => {
  const inScript = (before: string, after = ''): string => `<script>${before}{{= x | json }}${after}</script>`
  for (const page of [inScript(''), inScript('a = ', ';'), inScript('a = "b" + '), inScript("a = 'it\\'s' + "), inScript('// note\na = '), inScript('{"@id": "https://a.example/", "b": ', '}'), inScript('a - '), inScript('class C { #a = ', ' }'), inScript('a = "<!-- -->" + ')]) {
    t.doesNotThrow(() => write(page), page)
  }
  for (const before of ['"', "'", '`', '"\\"', "'\\\\\\'", '// ', 'a\n// ', '/* ', '/* * ', 'a / ', 'x = /"/; ', '"it\n', '<!-- ', '<!-', '<', '</', '</scr', 'a --> ', '<!-- \'-->\' /*\n"*/ + ', '#!/*\n"*/ + ']) {
    t.equal(problemOf(inScript(before), { data }).code, 'unsafe_context', before)
  }
  t.equal(problemOf('<style>{{= x | json}}</style>').code, 'unsafe_context')
  t.equal(problemOf('<svg><script>a = {{= x | json}}</script></svg>').code, 'unsafe_context')
  t.equal(problemOf('<% a.html x="1" %/>', { partials: { 'a.html': '<script>{{@x}}</script>' } }).code, 'unsafe_context')
})

test('partials, slots and images stand between tags alone, and with HTML that they end', async t => {
  const partials = { 'a.html': '<b>x</b>', 'open.html': '<a href="', 'svg.html': '<svg>', 'icon.html': '<path d=""/>', 'styled.html': '<style></style>', 'frame.html': '<svg>{{body}}</svg>', 'lost.html': '<plaintext>' }
  t.equal(problemOf('<a href="<% a.html %/>">', { partials }).code, 'unsafe_context')
  t.equal(problemOf('<a href="<% img src=a alt=b %/>">').code, 'unsafe_context')
  t.equal(problemOf('<% open.html %/>">', { partials }).code, 'unclosed_html')
  t.equal(problemOf('<% svg.html %/></svg>', { partials }).code, 'unclosed_html')
  t.equal(problemOf('<% lost.html %/>{{= x}}', { partials, data }).code, 'unsafe_context')
  t.equal(render('<svg><% icon.html %/></svg>', { partials }), '<svg><path d=""/></svg>')
  for (const name of ['styled.html', 'a.html']) t.equal(problemOf(`<svg><% ${name} %/></svg>`, { partials }).code, 'unsafe_context')
  t.equal(render('<% frame.html %><slot:body><g></g></slot:body><%/ frame.html %>', { partials }), '<svg><g></g></svg>')
  t.match(problemOf('<% frame.html %><slot:body><p></p></slot:body><%/ frame.html %>', { partials }), { code: 'unsafe_context', related: { file: 'partials/frame.html' } })
  t.equal(problemOf('<% outer.html %><slot:x><p></p></slot:x><%/ outer.html %>', { partials: { ...partials, 'outer.html': '<% frame.html %><slot:body>{{x}}</slot:body><%/ frame.html %>' } }).code, 'unsafe_context')
})

test('in a title of an <svg> text alone stands, as browsers that have left the <svg> would read it', async t => {
  t.equal(render('<svg><title>{{= safe}}</title></svg>', { data }), '<svg><title>&lt;b title=&quot;x&quot;&gt;y&lt;/b&gt;</title></svg>')
  t.match(problemOf('<svg><title><% a.html %/></title></svg>', { partials: { 'a.html': 'a' } }), { code: 'unsafe_context', message: /<title> in <svg>/ })
})

test('a slot in a script, a style or a tag is refused', async t => {
  for (const text of ['<script>{{x}}</script>', '<style>{{x}}</style>', '<a {{x}}>', '<!-- {{x}} -->']) t.equal(problemOf('<% a.html %><slot:x>y</slot:x><%/ a.html %>', { partials: { 'a.html': text } }).code, 'unsafe_context', text)
})

test('the URL of an asset is not trusted where it can\'t be escaped', async t => {
  const context = { asset: () => '/a"b' }
  t.equal(render('<link href="{{+ /static/a}}">', { context }), '<link href="/a&quot;b">')
  t.equal(problemOf('<script>import "{{+ /static/a}}"</script>', { context }).code, 'unsafe_context')
  t.equal(problemOf('<link {{+ /static/a}}>').code, 'unsafe_context')
  t.equal(problemOf('{{+ a b}}').code, 'malformed_value')
})

test('a hole stands where text may, not at the head of a URL and not in scripts', async t => {
  const context = { hole: () => 'MARK' }
  t.equal(render('<a href="/x?t=<% hole name=a %/>"><script nonce="<% hole name=n %/>"></script>', { context }), '<a href="/x?t=MARK"><script nonce="MARK"></script>')
  for (const page of ['<a href="<% hole name=a %/>">', '<script><% hole name=a %/></script>', '<a <% hole name=a %/>>']) t.equal(problemOf(page, { context }).code, 'unsafe_context', page)
})
