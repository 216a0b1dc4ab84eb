import fc from 'fast-check'
import t from 'tap'
import { parseFrontMatter } from '../../../lib/site/content/front-matter.js'
import { applySchema } from '../../../lib/site/content/schema.js'
import { holds } from '../../helpers/property.js'

const FILE = 'pages/a.md'
const code = 'FST_ISR_ERR_SITE_FRONT_MATTER'

/** Data as a plain object, and the text behind. */
function read (text: string): { data: Record<string, unknown>, body: string } {
  const { data, bodyOffset } = parseFrontMatter(text, FILE)
  return { data: { ...data }, body: text.slice(bodyOffset) }
}

t.test('lines of the predecessor are read as it read them', async (t) => {
  t.same(read('---\ntitle: Bespoke Elixir: Building a Blog\ndate: 2026-02-25\nsummary: C# is "sharp" # here\n---\n<h1>'), {
    data: { title: 'Bespoke Elixir: Building a Blog', date: '2026-02-25', summary: 'C# is "sharp" # here' },
    body: '<h1>'
  })
  t.same(read('---\n---\nbody'), { data: {}, body: 'body' })
  t.same(read('no front matter'), { data: {}, body: 'no front matter' })
  t.same(read('---\nan unclosed fence and no key'), { data: {}, body: '---\nan unclosed fence and no key' })
  t.same(read('---\ntitle: Only\n---'), { data: { title: 'Only' }, body: '' })
})

t.test('values may be quoted, booleans, lists and texts of several lines', async (t) => {
  const { data } = read(`---
# a comment
quoted: "a \\"b\\"\\u00e9" # told
single: 'it''s'
yes: true
no: false
empty:
inline: [a, "b, c", 'd'] # told
none: []
items:
  - one
  - "two: three"
flush:
- four
text: |
  first
    second

  third
folded: >-
  one
  two

  three
url: https://example.com/a:b
---
`)
  t.same(data, {
    quoted: 'a "b"é',
    single: "it's",
    yes: true,
    no: false,
    empty: '',
    inline: ['a', 'b, c', 'd'],
    none: [],
    items: ['one', 'two: three'],
    flush: ['four'],
    text: 'first\n  second\n\nthird',
    folded: 'one two\nthree',
    url: 'https://example.com/a:b'
  })
})

t.test('a byte order mark and CRLF change nothing', async (t) => {
  t.same(read('\ufeff---\r\ntitle: A\r\ntags:\r\n  - x\r\n---\r\nbody\r\n'), { data: { title: 'A', tags: ['x'] }, body: 'body\r\n' })
  t.same(read('\ufeffbody'), { data: {}, body: 'body' })
})

t.test('each key knows its line of the file', async (t) => {
  t.same({ ...parseFrontMatter('---\n\na: 1\nb:\n  - x\n  - y\nc: 3\n---\n', FILE).lines }, { a: 3, b: 4, c: 7 })
})

t.test('what is not understood is refused with file and line', async (t) => {
  const cases: [text: string, line: number, message: RegExp][] = [
    ['---\ntitle: a\ntitle: b\n---\n', 3, /'title' is given twice, first on line 2/],
    ['---\na: 1\nauthor:\n  name: b\n---\n', 4, /keys within keys/],
    ['---\na: 1\nnonsense\n---\n', 3, /expected 'key: value', got 'nonsense'/],
    ['---\na:1\n---\n', 2, /a blank behind the colon/],
    ['---\na: "b\n---\n', 2, /no other half/],
    ['---\na: "b" c\n---\n', 2, /something follows/],
    ['---\na: "\\x"\n---\n', 2, /escape/],
    ['---\na: [b, c\n---\n', 2, /no ']'/],
    ['---\na: [b] c\n---\n', 2, /something follows/],
    ['---\na: [b, , c]\n---\n', 2, /empty item/],
    ['---\na: [[b]]\n---\n', 2, /list within a list/],
    ['---\na: |\n    b\n  c\n---\n', 4, /indented less/],
    ['---\n__proto__: x\n---\n', 2, /'__proto__' can't be a key/],
    ['---\ntitle: a\nbody without an end', 1, /it has no end/],
    ['---js\n{ title: process.exit(1) }\n---\n', 1, /marked as 'js'.*nothing is run/],
    ['--- json\n{}\n---\n', 1, /marked as 'json'/]
  ]
  for (const [text, line, message] of cases) {
    t.throws(() => parseFrontMatter(text, FILE), { code, file: FILE, line, message }, JSON.stringify(text))
  }
  const long = t.throws(() => parseFrontMatter(`---\n${'x'.repeat(1e6)}\n---\n`, FILE), { code }) as Error
  t.ok(long.message.length < 200, 'a message is short whatever the file holds')
})

t.test('a ruler of Markdown is no front matter', async (t) => {
  t.same(read('----\na: b\n----\n').data, {})
  t.same(read('---\n\nText: between rulers is not a key of front matter\nwithout a second ruler').data, {}, 'without a second one')
})

t.test('no key reaches a prototype', async (t) => {
  const { data } = parseFrontMatter('---\nconstructor: a\ntoString: b\nhasOwnProperty: c\n---\n', FILE)
  t.equal(Object.getPrototypeOf(data), null)
  t.same({ ...data }, { constructor: 'a', toString: 'b', hasOwnProperty: 'c' })
  t.same({ ...applySchema({ a: '' }, { constructor: 'number' } as never, FILE) }, { a: '' })
})

t.test('10,000 lines, long lines and long lists are read in one pass', async (t) => {
  const lines = Array.from({ length: 10_000 }, (_, nth) => `key${nth}: ${nth}`).join('\n')
  t.equal(Object.keys(read(`---\n${lines}\n---\n`).data).length, 10_000)
  const items = Array.from({ length: 200_000 }, (_, nth) => `  - ${nth}`).join('\n')
  t.equal((read(`---\nlist:\n${items}\n---\n`).data['list'] as string[]).length, 200_000)
  t.equal((read(`---\nlist: [${'a,'.repeat(200_000)}b]\n---\n`).data['list'] as string[]).length, 200_001)
  t.equal((read(`---\ntext: >\n${'  ab\n'.repeat(200_000)}---\n`).data['text'] as string).length, 3 * 200_000 - 1)
  t.throws(() => read(`---\na: "${"\\'".repeat(200_000)}\n---\n`), { code })
  t.throws(() => read(`---\n${' '.repeat(2e6)}x\n---\n`), { code })
})

t.test('any text is either read or refused with a code', async (t) => {
  const piece = fc.constantFrom('---', '\n', '\r\n', 'a: ', 'b:', '- ', '"', "'", '[', ']', ',', '|', '>', '  ', '#', '\\', 'x', '\u0001', '\ud800', '__proto__: ', '\ufeff')
  holds(t, fc.property(fc.array(piece, { maxLength: 30 }), pieces => {
    const text = `---\n${pieces.join('')}`
    try {
      const { data, bodyOffset } = parseFrontMatter(text, FILE)
      return bodyOffset <= text.length && Object.values(data).every(value => typeof value === 'string' || typeof value === 'boolean' || Array.isArray(value))
    } catch (error) {
      return (error as { code?: string }).code === code
    }
  }), { numRuns: 2000 })
})

t.test('a schema converts what front matter holds', async (t) => {
  const schema = { title: 'text', date: 'date', at: 'date', local: 'date', draft: 'boolean', weight: 'number', tags: 'list', more: 'list', missing: 'date', empty: 'number' } as const
  const { data, lines } = parseFrontMatter('---\ntitle: true\ndate: 2026-02-25\nat: 2026-02-25T10:30:00+02:00\nlocal: 2026-02-25 10:30\ndraft: false\nweight: -1.5\ntags: a, b,\nmore: [c]\nempty:\nother: x\n---\n', FILE)
  t.same({ ...applySchema(data, schema, FILE, lines) }, {
    title: 'true',
    date: new Date('2026-02-25T00:00:00Z'),
    at: new Date('2026-02-25T08:30:00Z'),
    local: new Date('2026-02-25T10:30:00Z'),
    draft: false,
    weight: -1.5,
    tags: ['a', 'b'],
    more: ['c'],
    other: 'x'
  })
})

t.test('what does not fit a schema is refused with its line', async (t) => {
  const wrong: [type: 'text' | 'date' | 'boolean' | 'number' | 'list', value: string][] = [
    ['date', '2026-02-30'], ['date', '2026-13-01'], ['date', 'tomorrow'], ['date', '2026-02-25T25:00Z'], ['date', 'true'],
    ['boolean', 'yes'], ['number', '1e999'], ['number', '0x10'], ['number', 'one'], ['text', '[a]'], ['list', 'true']
  ]
  for (const [type, value] of wrong) {
    const { data, lines } = parseFrontMatter(`---\nfirst: x\nkey: ${value}\n---\n`, FILE)
    t.throws(() => applySchema(data, { key: type }, FILE, lines), { code, file: FILE, line: 3, message: /pages\/a\.md:3: .*'key' must be/ }, `${type}: ${value}`)
  }
})
