// Templates in which two readings of HTML differ: in one a value stands between tags, in the other in an
// attribute without quotes, in a script or at the head of a URL. A tracker that reads them otherwise than
// browsers do accepts a value there. All that there are of the kind, not some by chance.
import fc from 'fast-check'
import type { Templates } from './escaping-templates.js'

/** Their text is read by rules of its own: from the first up to the second. */
const REGIONS: Array<[string, string]> = [
  ['<title>', '</TITLE>'], ['<script>', '</SCRIPT>'], ['<script><!--', '</script>'], ['<script><!--<script>', '</script>'], ['<script><!--<script></script>', '</script>'], ['<script><!--<script>-->', '</script>'],
  ...['title', 'textarea', 'style', 'script', 'xmp', 'iframe', 'noembed', 'noframes', 'noscript'].map((name): [string, string] => [`<${name}>`, `</${name}>`]),
  ['<!--', '-->'], ['<!-- --!>', '-->'], ['<!-->', '-->'], ['<!--->', '-->'], ['<!-- <!--', '-->'], ['<![CDATA[', ']]>'], ['<![CDATA[>', ']]>'], ['<?', '?>'], ['<!doctype html "', '">']
]

/** Where they may be read by other rules than elsewhere; some only look like it. */
const PLACES = [
  '', '<svg>', '<math>', '<select>', '<template>', '<table>', '<svg></svg>', '<svg/>', '<svg><g>', '<svg><p>', '<p><svg></p>', '<div><svg></div>', '<a><svg></a>', '<svg><title>', '<svg><title></title>', '<svg><desc>',
  '<math><mi>', '<math><annotation-xml encoding="text/html">', '<svg><foreignObject>', '<svg><math>', '<svg><svg></svg>', '<select></select>', '<select><template><select></select></template>', '<select><svg>', '<svg><select>', '<div><svg></div><select></svg>', '<select><div>'
]

/** Of those, some that stand for all where more than one template is concerned. */
const SOME_PLACES = ['', '<svg>', '<svg><p>', '<math>', '<select>', '<svg></svg>', '<a><svg></a>', '<svg><title>', '<select><template><select></select></template>']

/** Each is harmless in one reading of the region, and lets a value out in the other. */
const FORMS: Array<(begin: string, end: string, value: string) => string> = [
  (begin, end, value) => `${begin}<b a="${end}" c=${value}>`,
  (begin, end, value) => `${begin}<b a="${end}<b c=${value}>">`,
  (begin, end, value) => `${begin}</b a="${end}<b c=${value}>">`,
  (begin, end, value) => `${begin}<!-- ${end}<b a=" --> " c=${value}>`,
  (begin, end, value) => `${begin}<!-- ${end}<script> --> ${value}`,
  (begin, end, value) => `${begin}<script>/* ${end} */ ${value}`,
  (begin, end, value) => `${begin}${end}${value}`,
  (begin, end, value) => `${begin}${value}${end}`
]

/** What comes before the rest of a text that begins with it. */
function * writings (character: string): Generator<string> {
  const code = character.charCodeAt(0)
  yield character
  for (const zeros of ['', '0', '00000', '00000000', '000000000', '0000000000000', '0'.repeat(36), '0'.repeat(50)]) {
    yield * [`&#${zeros}${code};`, `&#${zeros}${code}`, `&#x${zeros}${code.toString(16)};`, `&#X${zeros}${code.toString(16)}`]
  }
  for (const blank of [' ', '\t', '\n', '&Tab;', '&NewLine;', '&#9;', '&#0000000010', '&#1;', '&#0;', '&#x;', '&', '&amp']) yield * [blank + character, character + blank]
}

/** For a partial, which must not leave open what may be read by other rules. */
function endOf (place: string): string {
  return ['math', 'svg', 'select'].map(name => place.includes(`<${name}>`) ? `</${name}>` : '').join('')
}

const NOTHING = '{{slot?}}{{@attr?}}'

/** What stands in the place is on the page, in the partial, in its slot, or begun by one and ended by the other. */
const ARRANGEMENTS: Array<(place: string, probe: (value: string) => string) => Templates> = [
  (place, probe) => ({ page: place + probe('{{= x}}'), partial: '' }),
  (place, probe) => ({ page: `${place}<% part.html attr="{{= x}}" %/>`, partial: probe('{{@attr}}') + NOTHING }),
  (place, probe) => ({ page: `${place}<% part.html %>{{= x}}<%/ part.html %>`, partial: `${probe('{{default}}')}${NOTHING}` }),
  (place, probe) => ({ page: `<% part.html %>${probe('{{= x}}')}<%/ part.html %>`, partial: `${place}{{default}}${endOf(place)}${NOTHING}` }),
  (place, probe) => ({ page: `<% part.html attr="{{= x}}" %>${place}<%/ part.html %>`, partial: `{{default}}${probe('{{@attr}}')}${NOTHING}` }),
  (place, probe) => ({ page: `<% part.html %/>${probe('{{= x}}')}`, partial: place + NOTHING })
]

/** Text of a template that begins what a value could go on with. */
const OPENED = ['<b a=', '<b ', '<b', '<', '<a href="', '<a href=\'', '<script>', '<style>', '<title>', '</title', '<!--', '<!-', '</', '<svg>', '<select>', '<b onclick="', '<p title="', '<![CDATA[', '<!', '<?']
const LEFT_OPEN: Templates[] = OPENED.flatMap(open => [
  { page: '<% part.html %/>{{= x}}>"', partial: open + NOTHING },
  { page: '<% part.html %/>{{= x}}>"', partial: NOTHING + open },
  { page: `<% part.html attr="{{= x}}" %>${open}<%/ part.html %>`, partial: '{{default}}{{@attr}}>"' + NOTHING },
  { page: '<% part.html %/><b a="><b c={{= x}}>">', partial: NOTHING + open },
  { page: `<% each of="list" %>${open}<%/ each %>{{= x}}>"`, partial: '' },
  { page: `<% if test="on" %>${open}<%/ if %>{{= x}}>"`, partial: '' }
])

/** What a slot or an attribute is filled with, and where it is put. */
const FILLS = ['{{= x}}', '{{= safe}}', '{{= coded}}', '<i title="{{= x}}">i</i>', "<i title='{{= x}}'>i</i>", '<a href="/{{= x}}">a</a>', '<% if test="on" %>{{= x}}<%/ if %>', 'java{{= x}}', '{{= x}}{{= y}}', '<% each of="list" %>{{= it}}<%/ each %>']
const SINKS: Array<[string, string]> = [
  ['', ''], ['<p title="', '">'], ["<p title='", "'>"], ['<title>', '</title>'], ['<textarea>', '</textarea>'], ['<a href="', '">'], ['<script src="', '"></script>'], ['<base href="', '">'], ['<object data="', '"></object>'], ['<a href="/', '">'],
  ['<svg><a xlink:href="', '"/></svg>'], ['<form action="', '">'], ['<button formaction="', '">'], ['<a href="j', '">'], ['<iframe srcdoc="', '"></iframe>'], ['<p style="', '">'], ['<p onclick="', '">'], ['<svg><a><animate attributeName="href" values="', '"/></a></svg>'], ['<a href="<% if test="on" %>/<%/ if %>', '">']
]
const THROUGH: Templates[] = FILLS.flatMap(fill => SINKS.flatMap(([before, after]) => [
  { page: `<% part.html %>${fill}<%/ part.html %>`, partial: `${before}{{default}}${after}${NOTHING}` },
  ...(fill.includes('<') ? [] : [{ page: `<% part.html attr="${fill}" %/>`, partial: `${before}{{@attr}}${after}${NOTHING}` }]),
  { page: before + fill + after, partial: '' },
  { page: `${before}<% part.html attr="{{= x}}" %/>${after}`, partial: `<i title="{{@attr}}">${NOTHING}` },
  { page: '<% part.html attr="<b c={{= x}}>" %/>', partial: `${before}{{@attr}}${after}${NOTHING}` }
]))

const URL_HEADS: Templates[] = [
  ...[...writings('j')].flatMap(head => [
    { page: `<a href="${head}{{= x}}">`, partial: '' },
    { page: `<a href="<% if test="on" %>${head}<%/ if %>{{= x}}">`, partial: '' },
    { page: `<a href="<% if test="on" %>${head}<% else %>/a/<%/ if %>{{= x}}">`, partial: '' },
    { page: `<% part.html attr="${head}{{= x}}" %/>`, partial: '<a href="{{@attr}}">' + NOTHING },
    { page: `<% part.html %>${head}{{= x}}<%/ part.html %>`, partial: '<a href="{{default}}">' + NOTHING }
  ]),
  ...[...writings(':')].flatMap(colon => [
    { page: `<a href="{{= x}}${colon}PWN()">`, partial: '' },
    { page: `<a href="<% each of="list" %>{{= it}}${colon}<%/ each %>">`, partial: '' },
    { page: '<% part.html %>{{= x}}<%/ part.html %>', partial: `<a href="{{default}}${colon}PWN()">${NOTHING}` }
  ])
]

/** Attributes that are begun in branches, and go on after them. */
const IN_BRANCHES = ['', ' ', 'onclick', 'title', 'onclick ', 'title=', 'title="a"', 'href', 'on', 'href="', 'title="', 'href="/']
const BRANCHES: Templates[] = IN_BRANCHES.flatMap(one => IN_BRANCHES.flatMap(other => ['="', 'click="', ' ="', '"', ' title="', 'x="', ''].map(after =>
  ({ page: `<a <% if test="on" %>${one}<% else %>${other}<%/ if %>${after}{{= x}}">`, partial: '' }))))

/** `<select>` and `<svg>` in which another template changes the rules. */
const RULES: Templates[] = ['<template>', '</template>', '</select>', '<select></select>', '<select><option>', '</svg>', '<svg></svg>', '</math>', '<title></title>', '</p>', '<p>', '</a>', '<plaintext>'].flatMap(inner =>
  ['<select>', '<svg>', '<math>', '<a><svg>', '<div><svg>'].flatMap(place => ['', endOf(place), '<select></select></template>'].flatMap(after => ['<title><b a="</title>" c={{= x}}>', '<title><script>/* </title> */ {{= x}}'].flatMap(probe => [
    { page: `${place}<% part.html %/>${after}${probe}`, partial: inner + NOTHING },
    { page: `<% part.html %>${inner}<%/ part.html %>`, partial: `${place}{{default}}${after}${probe}${endOf(place)}${NOTHING}` }
  ]))))

/** The begin of an end tag, which a value could complete. */
const TAILS: Templates[] = ['<title></title', '<title></tit', '<title><', '<title></', '<textarea></textarea'].flatMap(begin =>
  ['{{= x}}', 'le{{= x}}', '{{= x}}le'].map(value => ({ page: `${begin}${value}><b a="</title></textarea>">`, partial: '' })))

const LOOPS: Templates[] = ['{{= it}}', 'title="{{= it}}', '<i title="{{= it}}', '<i title={{= it}}', '<b{{= it}}', '{{= it}}<b a=', '{{= it}}<!--', '{{= it}}<script>', '{{= it}}<title></title'].flatMap(body =>
  ['', '<p ', '<p title="', '<a href="', '<a href="/', '<a href="x', '<script>', '<title>'].map(before => ({ page: `${before}<% each of="list" %>${body}<%/ each %>">`, partial: '' })))

const BEGINS = REGIONS.flatMap(([begin, end]) => [[begin, end] as const, ...(/^<\w/.test(begin) ? [[begin.replace('>', '/>'), end] as const] : [])])

/** All of them. Each is to be tried with `PROBING` for `x`. */
export function * probes (): Generator<Templates> {
  yield * [...LEFT_OPEN, ...THROUGH, ...URL_HEADS, ...TAILS, ...BRANCHES, ...RULES, ...LOOPS]
  for (const arrange of ARRANGEMENTS) {
    const isFirst = arrange === ARRANGEMENTS[0]
    for (const place of isFirst ? PLACES : SOME_PLACES) {
      for (const [begin, end] of isFirst ? BEGINS : REGIONS) {
        for (const form of FORMS) yield arrange(place, value => form(begin, end, value))
      }
    }
  }
}

const SCRIPT_PARTS = {
  begin: ['', '//', '/*', '<!--', "<!-- '-->'", "<!-- '-->' /*", '-->', ';\n-->', '#!', '#!/*', 'a = `', 'a = /', 'a = 1 /', '/*\n*/-->'],
  second: ['', '/*', '//', '"', "'", '`', '/'],
  end: ['\n', '\u2028', '*/', ''],
  quote: ['"', "'", '`', ''],
  third: ['', '*/', '/*', '-->', '/', '//']
}

/** Scripts that are read in two ways, with a value between tokens in one and in a string in the other. */
export function * scriptProbes (): Generator<Templates> {
  const { begin, second, end, quote, third } = SCRIPT_PARTS
  for (const a of begin) {
    for (const b of second) {
      for (const c of end) {
        for (const q of quote) {
          for (const d of third) yield { page: `<script>${a} ${b} ${c}${q} ${d} + {{= x | json }} + ${q === '' ? '""' : q}</script>`, partial: '' }
        }
      }
    }
  }
}
export const PROBING_SCRIPT: unknown[] = ['+PWN()+', '"+PWN()+"', '\nPWN()//']

/** What gets out of an attribute without quotes, becomes a scheme, completes one, or is of another host. */
export const PROBING = [' a onmouseover=PWN() ', 'javascript:PWN()', 'avascript:PWN()', 'javascript', '//evil.example/PWN']

/** Some of them, put together by chance. */
export const probing: fc.Arbitrary<Templates> = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom(...LEFT_OPEN, ...THROUGH, ...URL_HEADS, ...TAILS, ...BRANCHES, ...RULES, ...LOOPS) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...ARRANGEMENTS), fc.array(fc.constantFrom(...PLACES), { minLength: 1, maxLength: 3 }), fc.constantFrom(...BEGINS), fc.array(fc.constantFrom(...BEGINS), { maxLength: 1 }), fc.constantFrom(...FORMS))
      .map(([arrange, places, [begin, end], others, form]) => arrange(places.join('') + others.map(all => all.join('')).join(''), value => form(begin, end, value)))
  }
)
