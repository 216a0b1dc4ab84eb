import fc from 'fast-check'
import { test } from 'tap'
import { ByteTable } from '../../lib/cache/byte-table.js'
import { NameSet } from '../../lib/cache/name-set.js'
import { holds } from '../helpers/property.js'

/** Few different ones, so that the same come again, and some that only differ in the middle or at an end. */
const texts = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'abc', 'abcd', 'abcde', 'xbcde', 'abxde', '/ä', '/\ud83d\ude00', 'a'.repeat(300)),
  fc.string({ maxLength: 40 }),
  fc.nat({ max: 500 }).map(nth => `/articles/${String(nth).padStart(7, '0')}`)
)

function bytesOf (text: string): { source: Buffer, start: number, end: number } {
  const source = Buffer.from(`<${text}>`)
  return { source, start: 1, end: source.length - 1 }
}

function checkAgainst (table: ByteTable, known: Map<string, number>): boolean {
  return table.size === known.size &&
    [...table].every((text, id) => known.get(text) === id) &&
    [...known].every(([text, id]) => table.find(text) === id && table.get(id) === text && table.has(text)) &&
    !table.has('what nobody has added') && table.find('/articles/-') === -1
}

test('a table of texts numbers them as a Map would', async t => {
  holds(t, fc.property(fc.array(fc.tuple(texts, fc.constantFrom('add', 'addBytes', 'append', 'reserve', 'settle')), { maxLength: 300 }), steps => {
    const table = new ByteTable()
    const known = new Map<string, number>()
    for (const [text, how] of steps) {
      const expected = known.get(text) ?? known.size
      const { source, start, end } = bytesOf(text)
      if (how === 'reserve') table.reserve(text.length * 10)
      else if (how === 'settle') {
        if (!table.settle()) return false
      } else if (how === 'append') {
        if (known.has(text)) continue
        table.append(source, start, end)
        known.set(text, expected)
      } else {
        if ((how === 'add' ? table.add(text) : table.addBytes(source, start, end)) !== expected) return false
        known.set(text, expected)
      }
    }
    return checkAgainst(table, known)
  }), { numRuns: 500 })
})

test('it tells when a text was appended that is there already, however long ago', async t => {
  holds(t, fc.property(fc.uniqueArray(texts, { minLength: 1, maxLength: 200 }), fc.nat(), fc.boolean(), (all, nth, isSettled) => {
    const table = new ByteTable()
    const append = (text: string): void => { const { source, start, end } = bytesOf(text); table.append(source, start, end) }
    for (const text of all) append(text)
    if (isSettled && !table.settle()) return false
    append(all[nth % all.length] ?? '')
    return !table.settle()
  }))
  t.equal(new ByteTable().settle(), true)
})

test('it orders texts by their bytes', async t => {
  holds(t, fc.property(texts, texts, (first, second) => {
    const table = new ByteTable()
    const id = table.add(first)
    const { source, start, end } = bytesOf(second)
    return table.isAfter(id, source, start, end) === (Buffer.compare(Buffer.from(second), Buffer.from(first)) > 0)
  }))
})

test('texts that reach from one of its parts into the next are whole', async t => {
  const table = new ByteTable()
  const known = new Map<string, number>()
  const long = 'x'.repeat(3 * 1024 * 1024)
  for (const text of [long.slice(0, 999_983), `${long}y`, long, ...Array.from({ length: 4000 }, (_, nth) => `${'ä'.repeat(nth % 400)}${nth}`)]) {
    t.equal(table.add(text), known.size)
    known.set(text, known.size)
  }
  t.ok(checkAgainst(table, known))
  for (const [text, id] of known) {
    const { source, start, end } = bytesOf(text)
    if (table.addBytes(source, start, end) !== id || table.isAfter(id, source, start, end) || !table.isAfter(id, source, start, end + 1)) t.fail(`text ${id}`)
    if (text !== '' && table.byteOf(id, 0) !== source[1]) t.fail(`first byte of text ${id}`)
  }
  t.equal(table.byteOf(0, 999_983), -1)
})

test('a set of names has those that a Set would, in whichever way they came', async t => {
  const names = fc.nat({ max: 60 }).map(nth => (nth * 2654435761 % 2 ** 32).toString(16).padStart(8, '0').repeat(8))
  holds(t, fc.property(fc.array(fc.tuple(names, fc.constantFrom('add', 'addBytes', 'addBytes', 'delete', 'has', 'size')), { maxLength: 300 }), follows), { numRuns: 300 })
})

function follows (steps: [name: string, how: string][]): boolean {
  const set = new NameSet()
  const known = new Set<string>()
  for (const [name, how] of steps) {
    if (how === 'delete' && set.delete(name) !== known.delete(name)) return false
    if (how === 'has' && set.has(name) !== known.has(name)) return false
    if (how === 'size' && set.size !== known.size) return false
    if (how === 'add') set.add(name)
    if (how === 'addBytes') set.addBytes(Buffer.from(`/${name}`), 1)
    if (how.startsWith('add')) known.add(name)
  }
  return set.size === known.size && [...known].every(name => set.has(name))
}
