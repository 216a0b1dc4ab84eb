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
const VALUES = ['{{= x}}', '{{= x}}', '{{= x}}', '{{= y}}', '{{= y}}', '{{= safe}}']
const IN_PARTIAL = ['{{slot}}', '{{slot}}', '{{@attr}}', '{{@attr}}', '{{front}}']

const SCRIPT = [
  'a = ', ';', '"', "'", '`', '/', '//', '/*', '*/', '\n', '\\', 'b', ' + ', '(', ')', '{', '}', '[', ']', ',', '"c"', '1', '-', '--', '-->', '<!--', '<', '!', '${', 'return ', '</scr', '<script>', '</script>', '<script>', '\u2028', '{{= x | json }}'
]

export const HOSTILE = [
  '"><img src=x onerror=PWN()>', "'><img src=x onerror=PWN()>", '<script>PWN()</script>', 'javascript:PWN()', ' onmouseover=PWN() ', '--><script>PWN()</script>', '</title><script>PWN()</script>', '</textarea><script>PWN()</script>',
  '</script><script>PWN()</script>', '</style><script>PWN()</script>', 'JaVaScRiPt:PWN()', '\tjavascript:PWN()', '`PWN()', '&quot;PWN()', '</xmp><script>PWN()</script>', '</noscript><script>PWN()</script>', '//evil.example/PWN', '/evil.example/PWN', ''
]
/** For the second value: also what completes the first one, or has it completed. */
export const SECOND = [...HOSTILE.slice(0, 5), '', 'script:PWN()', 'javascript', ':PWN()']

export const HOSTILE_SCRIPT: unknown[] = [
  'PWN()', '+PWN()+', '"+PWN()+"', "'+PWN()+'", '*/PWN()/*', '\nPWN()\n', '$' + '{PWN()}', '</script><script>PWN()</script>', '\\', '"', "'", '--', '<!--', '<script>', -1, ['PWN()'], { PWN: 'PWN()' }, '\u2028PWN()\u2028', '/;PWN();/'
]

type Text = fc.Arbitrary<string>

function joined (pieces: Text, minLength: number, maxLength: number): Text {
  return fc.array(pieces, { minLength, maxLength }).map(all => all.join(''))
}

function piecesOf (own: string[]): Text {
  return joined(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...HTML) }, { weight: 2, arbitrary: fc.constantFrom(...VALUES, ...own) }), 0, 6)
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

export const templates: fc.Arbitrary<Templates> = fc.record({
  page: fc.tuple(ON_PAGE, fc.oneof({ weight: 2, arbitrary: fc.constantFrom('{{= x}}', '') }, { weight: 1, arbitrary: CALL }), ON_PAGE).map(all => all.join('')),
  // All of its slots and attributes are there, so that it can be used.
  partial: textOf(piecesOf(IN_PARTIAL)).map(text => `${text}<i>{{slot}}{{@attr}}</i>`)
})

export const scripts: fc.Arbitrary<Templates> = joined(fc.constantFrom(...SCRIPT), 0, 8)
  .map(text => ({ page: `<script>${text}{{= x | json }}</script>`, partial: '' }))
