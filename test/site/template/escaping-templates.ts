// Random templates: HTML in pieces that need not fit together, values, branches, loops and a partial;
// and the values that are put into them.
import fc from 'fast-check'

export interface Templates { page: string, partial: string }

const HTML = [
  '<p>', '</p>', '<a href="', '<a href=\'', '"', "'", '>', '<', ' ', '<script>', '</script>', '<style>', '</style>', '<title>', '</title>', '<textarea>', '</textarea>', '<!--', '-->', '--!>', '<!-',
  '<img src=', '<img src="', ' alt="', '<div class=\'', '/>', '/', '=', 'text', '<b', ' onclick="', ' title=', ' style="', '<svg>', '</svg>', '<svg><path d="', '<noscript>', '</noscript>', '<iframe srcdoc="',
  '<iframe>', '</iframe>', '<plaintext>', '<template>', '</template>', '<xmp>', '</xmp>', '<noembed>', '<frameset>', '<select>', '</select>', '<option>', '<table>', '<tr>', '<td>', '</table>', '&', '<a/href="',
  '<p title="x"', '<!doctype html>', '<?x', '</', '<option value="', '<math>', '</math>', '<mi>', '<annotation-xml encoding="text/html">', '<foreignObject>', '</foreignObject>', '<desc>', '</desc>', '<![CDATA[', ']]>',
  '<script src="', '<base href="', '<form action="', '<button formaction="', '<object data="', 'java', 'script:', ':', '&#106;ava', '&colon;', '&#58', '&amp;', 'href="', 'x://', '//', '/a/', '?', '#', '&#9;', '\t', '\n',
  '<scr', 'ipt', '<%# note %>', '<% raw %><<%/ raw %>', '<%%', '</title', '</textarea', '<!-- <script>', '{{+ /static/a.js}}'
]
const VALUES = ['{{= x}}', '{{= x}}', '{{= x}}', '{{= y}}', '{{= y}}', '{{= safe}}', '{{= coded}}']
const IN_PARTIAL = ['{{slot}}', '{{slot}}', '{{@attr}}', '{{@attr}}', '{{front}}']

const SCRIPT = [
  'a = ', ';', '"', "'", '`', '/', '//', '/*', '*/', '\n', '\\', '#', '#!', 'b', ' + ', '(', ')', '{', '}', '[', ']', ',', '"c"', '1', '-', '--', '-->', '<!--', '<', '!', '${', 'return ', '</scr', '<script>', '</script>', '<script>', '\u2028', '{{= x | json }}'
]

export const HOSTILE = [
  '"><img src=x onerror=PWN()>', "'><img src=x onerror=PWN()>", '<script>PWN()</script>', 'javascript:PWN()', ' onmouseover=PWN() ', 'a onmouseover=PWN() ', '--><script>PWN()</script>', '</title><script>PWN()</script>', '</textarea><script>PWN()</script>',
  '</script><script>PWN()</script>', '</style><script>PWN()</script>', 'JaVaScRiPt:PWN()', '\tjavascript:PWN()', '`PWN()', '&quot;PWN()', '</xmp><script>PWN()</script>', '</noscript><script>PWN()</script>', '//evil.example/PWN', '/evil.example/PWN', 'javascript', 'avascript:PWN()', '\nPWN()\n', ''
]
/** For the second value: also what completes the first one, or has it completed. */
export const SECOND = [...HOSTILE.slice(0, 5), '', 'script:PWN()', 'javascript', ':PWN()']

export const HOSTILE_SCRIPT: unknown[] = [
  'PWN()', '+PWN()+', '"+PWN()+"', "'+PWN()+'", '*/PWN()/*', '\nPWN()\n', '$' + '{PWN()}', '</script><script>PWN()</script>', '</script x', '<!--<script ', '\\', '"', "'", '--', '<!--', '<script>', -1, ['PWN()'], { PWN: 'PWN()' }, '\u2028PWN()\u2028', '/;PWN();/'
]

/** What fits together, so that values get far: each place that is not safe, with what leads out of it. */
const AROUND: Array<[string, string]> = [
  ['<p title="', '">'], ["<p title='", "'>"], ['<p title=', '>'], ['<a href="', '">x</a>'], ['<a href="java', '">x</a>'], ['<a href="java&#115;', '">x</a>'], ['<a href="', 'script:PWN()">x</a>'], ['<a href="', ':PWN()">x</a>'],
  ['<a href="', '&colon;PWN()">x</a>'], ['<a href="', '{{= y}}">x</a>'], ['<a href="/', '">x</a>'], ['<a href="{{= y}}/', '">x</a>'], ['<script src="', '"></script>'], ['<script src="/', '"></script>'], ['<script src="//', '"></script>'],
  ['<base href="', '">'], ['<object data="', '"></object>'], ['<title>', '</title>'], ['<title></tit', 'le><b a="</title>">'], ['<textarea></text', 'area><b a="</textarea>">'], ['<!--', '-->'], ['<!-- --!>', ' --><!-- -->'], ['<!-->', '-->'],
  ['<style>', '</style>'], ['<noscript>', '</noscript>'], ['<noscript><b title="</noscript>', '">'], ['<xmp><b title="</xmp>', '">'], ['<svg>', '</svg>'], ['<svg><title>', '</title></svg>'], ['<svg><title><a b="</title><script>', '</script>">'],
  ['<svg><style><a b="</style>', '">'], ['<svg><p><title><a b="</title><script>', '</script>">'], ['<svg><p><style>', '</style>'], ['<math><mi><title><a b="</title><img ', '>">'], ['<svg><![CDATA[<a b="]]><img ', '>">'], ['<![CDATA[<a b="]]>', '">'],
  ['<p <% if test="on" %>title="<% else %>id="<%/ if %>', '">'], ['<p <% if test="on" %>onclick<% else %>title<%/ if %>="', '">'], ['<a href="<% if test="on" %>java<%/ if %>', '">x</a>'], ['<a href="<% each of="list" %>', '<%/ each %>">x</a>'],
  ['<b<% each of="list" %> title="', '"<%/ each %>>'], ['<% each of="list" %><i title="', '"><%/ each %>'], ['<i onclick="', '">'], ['<i style="', '">'], ['<iframe srcdoc="', '"></iframe>'], ['<script>"', '"</script>']
]

/** The same in scripts. */
const AROUND_SCRIPT: Array<[string, string]> = [
  ['a = "', '";'], ["a = '", "';"], ['a = `', '`;'], ['a = "\\"', '";'], ['a = "\\\\" + ', ';'], ['/* ', ' */'], ['/* * ', ' */'], ['// a\n', ';'], ['// ', '\n'], ['a = b / ', ';'], ['a = /', '/;'], ['a = /["]/; a = "', '";'], ['a = /"/; a = ', ' + "";'],
  ['a --> ', '\n'], ['<!-- "', '"\n'], ['\n--> "\n', ''], ['\n--> /*\n" */ ', ' "'], ['a = `"$' + '{', '}"`;'], ['a = [', '];'], ['a = { b: ', ' };'], ['a = "b" + ', ' + "c";'], ['a = ', ';'], ['(', ')'],
  ['<!-- \'-->\' /*\n"*/ + ', ' + ""'], ['#!/*\n"*/ + ', ' + ""'], ['class C { #a = ', ' }']
]

type Text = fc.Arbitrary<string>

function joined (pieces: Text, minLength: number, maxLength: number): Text {
  return fc.array(pieces, { minLength, maxLength }).map(all => all.join(''))
}

function piecesOf (own: string[]): Text {
  const loose = joined(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...HTML) }, { weight: 2, arbitrary: fc.constantFrom(...VALUES, ...own) }), 0, 6)
  const value = fc.constantFrom(...VALUES, ...own, ...own)
  const fitting = fc.tuple(fc.constantFrom(...AROUND), value).map(([[before, after], inner]) => before + inner + after)
  return fc.oneof(loose, joined(fc.oneof({ weight: 3, arbitrary: fitting }, { weight: 1, arbitrary: fc.constantFrom(...HTML) }), 1, 2))
}

function textOf (pieces: Text): Text {
  return joined(fc.oneof(
    { weight: 8, arbitrary: pieces },
    { weight: 1, arbitrary: fc.tuple(pieces, pieces).map(([a, b]) => `<% if test="on" %>${a}<% else %>${b}<%/ if %>`) },
    { weight: 1, arbitrary: pieces.map(a => `<% if test="on" %>${a}<%/ if %>`) },
    { weight: 1, arbitrary: pieces.map(a => `<% each of="list" %>${a}<%/ each %>`) }), 1, 2)
}

const ON_PAGE = textOf(piecesOf([]))
const CALL = fc.tuple(fc.constantFrom('{{= x}}', 'a{{= y}}', '{{= safe}}', 'java&#115;cript:'), ON_PAGE).map(([attr, slot]) =>
  `<% part.html attr="${attr}" %><slot:slot>${slot}</slot:slot><%/ part.html %>`)

const SIMPLE_PARTIAL = '<i>{{slot}}{{@attr}}</i>'

// All of its slots and attributes are there, so that it can be used.
const WITH_PARTIAL = fc.record({
  page: fc.oneof(CALL, fc.tuple(ON_PAGE, CALL, ON_PAGE).map(all => all.join(''))),
  partial: textOf(piecesOf(IN_PARTIAL)).map(text => text + SIMPLE_PARTIAL)
})
const WITHOUT = fc.oneof(ON_PAGE, fc.tuple(ON_PAGE, fc.constantFrom('{{= x}}', ''), ON_PAGE).map(all => all.join('')))
  .map(page => ({ page, partial: SIMPLE_PARTIAL }))

export const templates: fc.Arbitrary<Templates> = fc.oneof(WITHOUT, WITH_PARTIAL)

const LOOSE_SCRIPT = joined(fc.constantFrom(...SCRIPT), 0, 8).map(text => `${text}{{= x | json }}`)
const FITTING_SCRIPT = fc.tuple(joined(fc.constantFrom(';', '\n', 'b;', '"c";', '// d\n', '/* e */'), 0, 2), fc.constantFrom(...AROUND_SCRIPT))
  .map(([first, [before, after]]) => `${first}${before}{{= x | json }}${after}`)

export const scripts: fc.Arbitrary<Templates> = fc.oneof(LOOSE_SCRIPT, FITTING_SCRIPT)
  .map(text => ({ page: `<script>${text}</script>`, partial: '' }))
