import t from 'tap'
import { randomBytes } from 'node:crypto'
import zlib from 'node:zlib'
import { isNotModified, parseHttpDate } from '../lib/pages/conditional.js'
import { encodeBodies, isEncodedAsWanted } from '../lib/pages/encode.js'
import { negotiate } from '../lib/pages/negotiate.js'

const ALL = ['br', 'gzip', 'identity']

t.test('which encoding a client gets', async (t) => {
  const cases: [header: string | undefined, all: string | null, plain: string | null][] = [
    // Nothing said, nothing assumed.
    [undefined, 'identity', 'identity'],
    ['', 'identity', 'identity'],
    [' ', 'identity', 'identity'],
    [',', 'identity', 'identity'],
    [', ,;q=1,', 'identity', 'identity'],
    // What browsers send.
    ['gzip, deflate, br, zstd', 'br', 'identity'],
    ['gzip, deflate', 'gzip', 'identity'],
    ['br', 'br', 'identity'],
    ['identity', 'identity', 'identity'],
    ['deflate', 'identity', 'identity'],
    // The server's order decides among what is accepted.
    ['gzip;q=1.0, br;q=0.001', 'br', 'identity'],
    ['identity;q=1, gzip;q=0.1', 'gzip', 'identity'],
    // Names and parameters in any case, with any spaces.
    ['GZIP', 'gzip', 'identity'],
    ['  Br ; Q=0.5 ,gzip', 'br', 'identity'],
    ['br\t;\tq=0', 'identity', 'identity'],
    ['x-gzip', 'gzip', 'identity'],
    ['br;level=1;q=0', 'identity', 'identity'],
    // Refusals.
    ['br;q=0, gzip', 'gzip', 'identity'],
    ['br;q=0', 'identity', 'identity'],
    ['br;q=0.0, gzip;q=0.00, identity;q=0.000', null, null],
    ['identity;q=0', null, null],
    ['identity;q=0, gzip', 'gzip', null],
    ['*;q=0', null, null],
    ['*;q=0, identity', 'identity', 'identity'],
    ['*;q=0, br', 'br', null],
    // The asterisk is for all that is not named; what is named wins over it.
    ['*', 'br', 'identity'],
    ['*;q=0.5', 'br', 'identity'],
    ['br;q=0, *', 'gzip', 'identity'],
    ['br;q=0, gzip;q=0, *;q=1', 'identity', 'identity'],
    ['*, identity;q=0', 'br', null],
    ['gzip, *;q=0', 'gzip', null],
    // Of duplicates the larger one counts.
    ['br;q=0, br;q=0.5', 'br', 'identity'],
    ['br;q=0.5, br;q=0', 'br', 'identity'],
    ['x-gzip;q=0, gzip;q=1', 'gzip', 'identity'],
    ['*;q=0, *;q=1', 'br', 'identity'],
    // What is no quality counts as 1.
    ['br;q=x', 'br', 'identity'],
    ['br;q=', 'br', 'identity'],
    ['br;q=2', 'br', 'identity'],
    ['br;q=-1', 'br', 'identity'],
    ['br;q=1.001', 'br', 'identity'],
    ['br;q="0"', 'br', 'identity'],
    // No name of ours, however it looks.
    ['brotli, gzi, br2, __proto__, constructor', 'identity', 'identity']
  ]
  for (const [header, all, plain] of cases) {
    t.equal(negotiate(header, ALL), all, `${JSON.stringify(header)} of all`)
    t.equal(negotiate(header, ['identity']), plain, `${JSON.stringify(header)} of identity alone`)
  }
})

t.test('the order of the server is the order of its list', async (t) => {
  t.equal(negotiate('br, gzip', ['gzip', 'br', 'identity']), 'gzip')
  t.equal(negotiate('br, gzip', ['identity', 'br']), 'identity')
  t.equal(negotiate('br', []), null)
})

t.test('what its handler has encoded goes only to who accepts that', async (t) => {
  t.equal(negotiate('gzip', ['gzip']), 'gzip')
  t.equal(negotiate('*', ['gzip']), 'gzip')
  for (const header of ['br', 'identity', 'gzip;q=0', undefined, '']) t.equal(negotiate(header, ['gzip']), null, String(header))
})

t.test('a header of any length and any number of headers is read', async (t) => {
  t.equal(negotiate(`br, ${'x'.repeat(100_000)}`, ALL), 'br')
  t.equal(negotiate(`${'a,'.repeat(50_000)}`, ALL), 'identity')
  const answers = new Set(Array.from({ length: 3000 }, (_, i) => negotiate(`gzip, coding-${i}`, ALL)))
  t.same(answers, new Set(['gzip']))
  t.equal(negotiate('br, gzip, never-seen-before', ALL), 'br')
})

const modified = Date.UTC(2024, 10, 6, 8, 49, 37)
const inm = (value: string, etag = '"abc"'): boolean => isNotModified({ 'if-none-match': value }, etag, null)
const ims = (value: string, lastModified: number | null = modified): boolean => isNotModified({ 'if-modified-since': value }, '"abc"', lastModified)

t.test('If-None-Match', async (t) => {
  t.test('compares weakly, through lists', async (t) => {
    for (const value of ['"abc"', 'W/"abc"', '"x", "abc"', '"abc","x"', ' "x" ,  W/"abc" ', '"x",,"abc"', '*', ' * ']) t.equal(inm(value), true, value)
    for (const value of ['"abd"', '"ABC"', '"abc', 'abc"', '""', '"x", "y"', '']) t.equal(inm(value), false, value)
    t.equal(inm('"abc"', 'W/"abc"'), true)
    t.equal(inm('W/"abc"', 'W/"abc"'), true)
    t.equal(inm('"abc-br"', '"abc"'), false, 'another encoding is another representation')
    t.equal(inm('"a,b"', '"a,b"'), true, 'a comma may be part of a tag')
    t.equal(inm('""', '""'), true)
    t.equal(inm('"\xe4"', '"\xe4"'), true)
  })

  t.test('that is malformed matches nothing', async (t) => {
    for (const value of ['abc', 'w/"abc"', 'W/abc', '"abc" x', 'x, "abc"', '*, "abc"', '"abc", *', 'W /"abc"', '"a b"', "'abc'", '"abc";q=1', '"abc\x00"']) t.equal(inm(value), false, value)
    t.equal(inm('"a b"', '"a b"'), false)
  })

  t.test('wins over If-Modified-Since', async (t) => {
    t.equal(isNotModified({ 'if-none-match': '"x"', 'if-modified-since': 'Wed, 06 Nov 2024 08:49:37 GMT' }, '"abc"', modified), false)
    t.equal(isNotModified({ 'if-none-match': '"abc"', 'if-modified-since': 'Wed, 06 Nov 1996 08:49:37 GMT' }, '"abc"', modified), true)
    t.equal(isNotModified({}, '"abc"', modified), false)
  })

  t.test('of any length is read in time', async (t) => {
    const startedAt = performance.now()
    t.equal(inm(`${'"x",'.repeat(100_000)}"abc"`), true)
    t.equal(inm('"'.repeat(200_001)), false)
    t.equal(inm('W/'.repeat(100_000)), false)
    t.equal(inm('",'.repeat(100_000)), false)
    t.ok(performance.now() - startedAt < 2000)
  })
})

t.test('If-Modified-Since', async (t) => {
  t.test('counts in any of the three forms of a date', async (t) => {
    for (const value of ['Wed, 06 Nov 2024 08:49:37 GMT', 'Wednesday, 06-Nov-24 08:49:37 GMT', 'Wed Nov  6 08:49:37 2024', 'Wed Nov 06 08:49:37 2024', 'wed, 06 nov 2024 08:49:37 gmt']) {
      t.equal(parseHttpDate(value), modified, value)
      t.equal(ims(value), true, value)
    }
    t.equal(ims('Wed, 06 Nov 2024 08:49:36 GMT'), false)
    t.equal(ims('Thu, 07 Nov 2024 08:49:37 GMT'), true)
    t.equal(ims('Thu, 07 Nov 2024 08:49:37 GMT', null), false, 'a page without a date of its own is never unmodified')
  })

  t.test('that is no date is ignored', async (t) => {
    for (const value of ['', '0', '9999', '2099', '2099-01-01', '2099-01-01T00:00:00Z', 'tomorrow', 'Wed, 06 Nov 2099 08:49:37', 'Wed, 06 Nov 2099 08:49:37 CET', 'Wed, 06 Foo 2099 08:49:37 GMT', 'Wed, 6 Nov 2099 08:49:37 GMT', 'Wed, 06 Nov 2099 25:00:00 GMT', 'Wed, 06 Nov 2099 08:60:00 GMT', 'Wed, 31 Feb 2099 08:00:00 GMT', 'Wed, 00 Nov 2099 08:00:00 GMT', 'Wed, 32 Nov 2099 08:00:00 GMT', '1e99', 'Infinity']) {
      t.equal(parseHttpDate(value), null, value)
      t.equal(ims(value), false, value)
    }
  })

  t.test('with a leap second or a year of two digits', async (t) => {
    t.equal(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT'), Date.UTC(2017, 0, 1))
    t.equal(parseHttpDate('Sunday, 06-Nov-94 08:49:37 GMT'), Date.UTC(1994, 10, 6, 8, 49, 37))
  })
})

const html = Buffer.from('<p>Hello, hello, hello!</p>'.repeat(200))

t.test('the encodings of a body', async (t) => {
  t.test('are prepared in the order wanted, and decode to the body', async (t) => {
    const bodies = await encodeBodies(html, 'text/html; charset=utf-8', ['br', 'gzip'])
    t.same(bodies.map(body => body.encoding), ['identity', 'br', 'gzip'])
    t.equal(bodies[0]?.bytes, html)
    t.same(zlib.brotliDecompressSync(bodies[1]?.bytes ?? Buffer.alloc(0)), html)
    t.same(zlib.gunzipSync(bodies[2]?.bytes ?? Buffer.alloc(0)), html)
    t.same((await encodeBodies(html, 'text/html', ['gzip', 'br'])).map(body => body.encoding), ['identity', 'gzip', 'br'])
    t.same((await encodeBodies(html, 'text/html', [])).map(body => body.encoding), ['identity'])
  })

  t.test('are left out where they save nothing', async (t) => {
    const noise = randomBytes(3000)
    t.same((await encodeBodies(noise, 'text/plain', ['br', 'gzip'])).map(body => body.encoding), ['identity'])
    // 94 % noise: what remains is more than the encoding may cost.
    const mixed = Buffer.concat([randomBytes(9600), Buffer.alloc(400)])
    t.same((await encodeBodies(mixed, 'text/plain', ['br', 'gzip'])).map(body => body.encoding), ['identity'])
    const compressible = Buffer.concat([randomBytes(9000), Buffer.alloc(1000)])
    t.same((await encodeBodies(compressible, 'text/plain', ['br', 'gzip'])).map(body => body.encoding), ['identity', 'br', 'gzip'])
  })

  t.test('begin at a KiB', async (t) => {
    t.equal((await encodeBodies(Buffer.alloc(1023, 'a'), 'text/html', ['br'])).length, 1)
    t.equal((await encodeBodies(Buffer.alloc(1024, 'a'), 'text/html', ['br'])).length, 2)
    t.same(await encodeBodies(Buffer.alloc(0), 'text/html', ['br']), [{ encoding: 'identity', bytes: Buffer.alloc(0) }])
  })

  t.test('are for types that compress', async (t) => {
    const isEncoded = async (type: string): Promise<boolean> => (await encodeBodies(html, type, ['gzip'])).length > 1
    for (const type of ['text/html', 'TEXT/HTML', 'text/css', 'text/plain;charset=utf-8', 'application/json', 'application/ld+json', 'application/feed+json', 'application/xml', 'application/rss+xml', 'application/atom+xml', 'application/xhtml+xml', 'application/javascript', 'application/manifest+json', 'application/wasm', 'image/svg+xml', 'font/ttf', 'image/x-icon']) t.equal(await isEncoded(type), true, type)
    for (const type of ['', 'image/png', 'image/jpeg', 'image/webp', 'video/mp4', 'application/zip', 'application/gzip', 'application/pdf', 'font/woff2', 'application/octet-stream', 'xtext/html']) t.equal(await isEncoded(type), false, type)
  })

  t.test('take the quality that is asked for, or are left out by it', async (t) => {
    const text = Buffer.from(Array.from({ length: 3000 }, (_, i) => `${i * 7919 % 1009} ${(i * 31) ** 2} `).join(''))
    const size = async (brotli: number | null, gzip: number | null): Promise<number[]> => (await encodeBodies(text, 'text/plain', ['br', 'gzip'], { brotli, gzip })).slice(1).map(body => body.bytes.length)
    const [slow, fast] = [await size(11, 9), await size(1, 1)]
    t.ok((slow[0] ?? 0) < (fast[0] ?? 0) && (slow[1] ?? 0) < (fast[1] ?? 0), `${slow.join()} < ${fast.join()}`)
    t.equal((await size(null, 9)).length, 1)
    t.same(await size(null, null), [])
    t.ok(Number(await size(11, null)) <= Number(await size(5, null)), 'the slow one is never the larger one')
  })
})

t.test('whether an old entry has the encodings that would be prepared now', async (t) => {
  const quality = { brotli: 5, gzip: 6 }
  const bodies = await encodeBodies(html, 'text/html', ['br', 'gzip'])
  t.equal(isEncodedAsWanted(bodies, 'text/html', ['br', 'gzip'], quality), true)
  t.equal(isEncodedAsWanted(bodies, 'text/html', ['gzip'], quality), false)
  t.equal(isEncodedAsWanted(bodies.slice(0, 2), 'text/html', ['br', 'gzip'], quality), false)
  t.equal(isEncodedAsWanted(bodies.slice(0, 1), 'text/html', ['br'], { brotli: null, gzip: null }), true)
  t.equal(isEncodedAsWanted([{ encoding: 'identity', bytes: Buffer.from('small') }], 'text/html', ['br', 'gzip'], quality), true)
  t.equal(isEncodedAsWanted([{ encoding: 'gzip', bytes: html }], 'text/html', ['br', 'gzip'], quality), true, 'its handler has encoded it')
})
