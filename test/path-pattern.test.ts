import fc from 'fast-check'
import findMyWay from 'find-my-way'
import t from 'tap'
import { encodeSegment, isCanonicalPath, parsePattern } from '../lib/pages/path-pattern.js'
import { listPaths, readPath, RoutePaths } from '../lib/pages/paths.js'
import { readPolicy, type Policy } from '../lib/pages/policy.js'
import { readOptions } from '../lib/options.js'
import { makeGate, settle, TestClock } from './helpers/engine.js'
import { holds } from './helpers/property.js'

/** What Fastify's router makes of a path: the pattern and its params, or null. */
function route (patterns: readonly string[], path: string): { pattern: string, params: Record<string, string | undefined> } | null {
  const router = findMyWay({ allowUnsafeRegex: true })
  for (const pattern of patterns) router.on('GET', pattern, () => {}, pattern)
  const found = router.find('GET', path)
  return found === null ? null : { pattern: found.store as string, params: { ...found.params } }
}

function build (pattern: string, params: Record<string, string | undefined>): string {
  const built = parsePattern(pattern).build(params)
  return 'path' in built ? built.path : `without ${built.missing}`
}

t.test('every form of pattern leads to the path that the router takes it from', async (t) => {
  const forms: [pattern: string, params: Record<string, string>, path: string][] = [
    ['/', {}, '/'],
    ['/about', {}, '/about'],
    ['/about/', {}, '/about/'],
    ['/café/☕', {}, '/caf%C3%A9/%E2%98%95'],
    ['/a b', {}, '/a%20b'],
    ['/100%', {}, '/100%25'],
    ['/a%20b', {}, '/a%2520b'],
    ['/time::now', {}, '/time:now'],
    ['/::a', {}, '/:a'],
    ['/:a', { a: 'x' }, '/x'],
    ['/blog/:slug', { slug: 'a b/c?d#e;f%g' }, '/blog/a%20b%2Fc%3Fd%23e%3Bf%25g'],
    ['/:a/:b', { a: 'x', b: 'y' }, '/x/y'],
    ['/:a/', { a: 'x' }, '/x/'],
    ['/:a-:b', { a: 'x', b: 'y' }, '/x-y'],
    ['/:a.:b', { a: 'x', b: 'y' }, '/x.y'],
    ['/:file.json', { file: 'x' }, '/x.json'],
    ['/v:version', { version: '1' }, '/v1'],
    ['/v:version/x', { version: '1' }, '/v1/x'],
    ['/:id(^\\d+$)', { id: '12' }, '/12'],
    ['/docs:home(^$)', { home: '' }, '/docs'],
    ['/:id(^\\d+$)/edit', { id: '12' }, '/12/edit'],
    ['/:id(^(?:a|b(?:c))$).json', { id: 'bc' }, '/bc.json'],
    ['/:h(^\\d{2}$)h:m(^\\d{2}$)m', { h: '12', m: '05' }, '/12h05m'],
    ['/:lang-:region/x', { lang: 'de', region: 'AT' }, '/de-AT/x'],
    ['/:a-b::c', { a: 'x' }, '/x-b:c'],
    ['/:a-*', { a: 'x' }, '/x-*'],
    ['/:file.*', { file: 'x' }, '/x.*'],
    ['/*', { '*': 'a/b c' }, '/a/b%20c'],
    ['/files/*', { '*': 'a/b' }, '/files/a/b'],
    ['/files/*', { '*': '' }, '/files/'],
    ['/:a/*', { a: 'x', '*': 'y/z' }, '/x/y/z'],
    ['/:a?', { a: 'x' }, '/x'],
    ['/blog/:page?', { page: '2' }, '/blog/2'],
    ['/blog/:page?/', { page: '2' }, '/blog/2/'],
    ['/x/:a-:b?', { a: '1', b: '2' }, '/x/1-2']
  ]
  for (const [pattern, params, path] of forms) {
    t.equal(build(pattern, params), path, pattern)
    const found = route([pattern], path)
    t.equal(found?.pattern, pattern, `${pattern}: routed`)
    t.same(found?.params, params, `${pattern}: with its params`)
  }
})

t.test('an optional param may be missing, with everything in its segment', async (t) => {
  for (const [pattern, params, path] of [
    ['/:a?', {}, '/'],
    ['/:a?/', {}, '/'],
    ['/blog/:page?', {}, '/blog'],
    ['/blog/:page?', { page: '' }, '/blog'],
    ['/blog/:page?/', {}, '/blog/'],
    ['/x/:a-:b?', {}, '/x'],
    ['/:a/:b?', { a: 'x' }, '/x']
  ] as const) {
    t.equal(build(pattern, params), path, pattern)
    t.ok(route([pattern], path), `${pattern}: routed`)
  }
  t.match(build('/x/:a-:b?', { a: '1' }), /^without b/, 'half a segment is none')
})

t.test('a param that is missing or empty is named', async (t) => {
  t.equal(build('/:a/:b', { a: 'x' }), 'without b')
  t.equal(build('/:a', { a: '' }), 'without a')
  t.equal(build('/:a(^x$)', {}), 'without a')
  t.equal(build('/:a-:b', { b: 'x' }), 'without a')
})

t.test('params and their names', async (t) => {
  t.same(parsePattern('/a/:b/:c-:d(^x$)/*').params, ['b', 'c', 'd', '*'])
  t.same(parsePattern('/a::b').params, [])
  t.equal(parsePattern('/a::b').isStatic, true)
  t.equal(parsePattern('/:a?').isStatic, false)
  t.equal(parsePattern('*').isStatic, false)
})

const word = fc.stringMatching(/^[a-z]{1,3}$/)
/**
 * Anything that a path segment may mean: no control characters, no slash; no
 * line separators either, which the router's expressions for two params in one
 * segment don't match.
 */
const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter(text => !/[\p{Cc}\p{Cs}\u2028\u2029/\\]/u.test(text))
const number = fc.nat({ max: 99_999 }).map(String)

interface Segment { pattern: string, params: Record<string, string> }
const segment = (name: string): fc.Arbitrary<Segment> => {
  const plain = text.filter(text => !/[-.]/.test(text))
  return fc.oneof(
    word.map(pattern => ({ pattern, params: {} })),
    // The router matches a semicolon only raw, which no canonical path has: such a route has no pages.
    text.filter(text => !/[:*()?#;]/.test(text)).map(pattern => ({ pattern, params: {} })),
    text.map(value => ({ pattern: `:${name}`, params: { [name]: value } })),
    fc.tuple(word, text).map(([before, value]) => ({ pattern: `${before}:${name}`, params: { [name]: value } })),
    fc.tuple(plain, word).map(([value, after]) => ({ pattern: `:${name}.${after}`, params: { [name]: value } })),
    fc.tuple(plain, plain, fc.constantFrom('-', '.')).map(([a, b, between]) => ({ pattern: `:${name}${between}:${name}x`, params: { [name]: a, [`${name}x`]: b } })),
    number.map(value => ({ pattern: `:${name}(^\\d+$)`, params: { [name]: value } })),
    fc.tuple(number, plain).map(([a, b]) => ({ pattern: `:${name}(^\\d+$)-:${name}x`, params: { [name]: a, [`${name}x`]: b } }))
  )
}
const end: fc.Arbitrary<Segment> = fc.oneof(
  fc.constant({ pattern: '', params: {} }),
  fc.array(text, { minLength: 1, maxLength: 3 }).map(parts => ({ pattern: '*', params: { '*': parts.join('/') } })),
  text.map(value => ({ pattern: ':last?', params: { last: value } }))
)
const patternAndParams = fc.tuple(segment('a'), segment('b'), segment('c'), fc.nat({ max: 3 }), end).map(([a, b, c, count, last]): Segment => {
  const segments = [...[a, b, c].slice(0, count), last]
  return { pattern: `/${segments.map(segment => segment.pattern).join('/')}`, params: Object.assign({}, ...segments.map(segment => segment.params)) as Record<string, string> }
})

t.test('whatever the pattern and the params, the router takes from the path what was put in', async (t) => {
  holds(t, fc.property(patternAndParams, ({ pattern, params }) => {
    const path = build(pattern, params)
    // What is no canonical path is no page; that it is refused is tested elsewhere.
    fc.pre(isCanonicalPath(path))
    const found = route([pattern], path)
    if (found === null) throw new Error(`${path} is not routed to ${pattern}`)
    const names = new Set([...Object.keys(found.params), ...Object.keys(params)])
    for (const name of names) if (found.params[name] !== params[name]) throw new Error(`${pattern} ${path} ${name}: ${found.params[name]} for ${params[name]}`)
  }), { numRuns: 2000 })
})

t.test('a canonical path is what the pattern makes of the params that the router finds in it', async (t) => {
  const path = fc.array(text.map(encodeSegment), { minLength: 1, maxLength: 4 }).map(segments => `/${segments.join('/')}`).filter(isCanonicalPath)
  const patterns = ['/:a', '/:a/:b', '/:a-:b/:c', '/x/:a.:b', '/:a/:b/:c/*', '/v:a/:b(^\\d+$)', '/:a/:b/:c?']
  let routed = 0
  holds(t, fc.property(path, fc.constantFrom(...patterns), (path, pattern) => {
    const found = route([pattern], path)
    // The router takes an empty param between two others for one; a page can't have it.
    if (found === null || Object.values(found.params).includes('')) return
    routed++
    if (build(pattern, found.params) !== path) throw new Error(`${pattern}: ${path} became ${build(pattern, found.params)}`)
  }), { numRuns: 3000 })
  t.ok(routed > 300, `${routed} were routed`)
})

t.test('a path has one spelling', async (t) => {
  const canonical = [
    '/', '/a', '/A', '/a/b', '/a/', '/a.b', '/a..b', '/...', '/.well-known/x', '/a-._~!$&\'()*+,=:@', '/%20', '/caf%C3%A9', '/%E2%98%95', '/%25', '/%2520', '/a%3Bb', '/%3F%23',
    `/${'x'.repeat(255)}`, `/${Array(8).fill('x'.repeat(255)).join('/')}`.slice(0, 2048), '/%F0%9F%98%80', '/__proto__', '/constructor'
  ]
  for (const path of canonical) t.equal(isCanonicalPath(path), true, path.slice(0, 60))

  const attacks = [
    '', 'a', '*', '//', '//evil.example', '/a//b', '/a//', '/./', '/.', '/..', '/../a', '/a/..', '/a/../b', '/a/./b', '/a/.', '/..;/a',
    '/..%2f', '/..%2F', '/%2e%2e', '/%2E%2E', '/%2e', '/.%2e/a', '/%2e./a', '/a/%2E%2E/b', '/%252e%252e%2f', '/%2f', '/%2F', '/a%2Fb', '/%5c', '/%5C', '/a\\b', '/..\\a', '\\a',
    '/a;b', '/a;x=1', '/;/', '/%00', '/a%00.css', '/%0a', '/%0D%0A', '/%1F', '/%7F', '/a\0b', '/a b', '/a\tb', '/\u007f',
    '/a?b', '/a?', '/a#b', '/#', 'http://evil.example/', 'http://evil.example', '/http://evil.example',
    '/%61', '/%41', '/%2d', '/%2D', '/%7e', '/%c3%a9', '/caf%C3%a9', '/%3b', '/é', '/☕', '/%', '/%2', '/%zz', '/%G0', '/a%', '/%E9', '/%C3', '/%C3%28', '/%FF', '/%C0%AF', '/%C0%AE%C0%AE', '/%E0%80%AF', '/%ED%A0%80', '/%F8%88%80%80%80', '/%u002e',
    `/${'x'.repeat(256)}`, `/${'x/'.repeat(1024)}x`, `/${'%20'.repeat(86)}`, '/a"b', '/<script>', '/a|b', '/{a}', '/a^b', '/`', '/[a]', '/a%3A', '/a%40', '/a%2B'
  ]
  for (const path of attacks) t.equal(isCanonicalPath(path), false, JSON.stringify(path.slice(0, 60)))
})

t.test('every text has one spelling as a segment, and no two texts have the same', async (t) => {
  holds(t, fc.property(text, text, (a, b) => {
    const spelled = encodeSegment(a)
    if (decodeURIComponent(spelled) !== a) throw new Error(`${a} became ${spelled}`)
    if (a !== b && spelled === encodeSegment(b)) throw new Error(`${a} and ${b} are both ${spelled}`)
    const isPage = a !== '.' && a !== '..' && spelled.length <= 255
    if (isCanonicalPath(`/${spelled}`) !== isPage) throw new Error(`${spelled} is${isPage ? ' not' : ''} canonical`)
    // Any other percent-encoding of it is another spelling.
    const other = [...Buffer.from(a)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
    if (other !== spelled && isCanonicalPath(`/${other}`)) throw new Error(`${other} is canonical, too`)
  }), { numRuns: 1000 })
})

t.test('half a surrogate pair becomes a character that a path can hold', async (t) => {
  t.equal(encodeSegment('a\ud800b'), 'a%EF%BF%BDb')
  t.equal(build('/:a', { a: '\udc00' }), '/%EF%BF%BD')
})

const settings = readOptions({})
const policyOf = (value: object): Policy => readPolicy('GET /blog/:slug', value, settings)
const blog = parsePattern('/blog/:slug')

t.test('one item of `paths`', async (t) => {
  const read = (item: unknown, pattern = blog): string => readPath('/blog/:slug', pattern, item)

  t.test('is a canonical path or its params', async (t) => {
    t.equal(read({ slug: 'a b' }), '/blog/a%20b')
    t.equal(read({ slug: 7 }), '/blog/7')
    t.equal(read('/blog/a%20b'), '/blog/a%20b')
    t.equal(read({}, parsePattern('/x/:a?')), '/x')
    t.equal(read({ '*': 'a/b' }, parsePattern('/files/*')), '/files/a/b')
  })

  t.test('that names no page is refused, with the reason', async (t) => {
    const wrong: [item: unknown, message: RegExp][] = [
      ['/blog/a b', /not a canonical path/],
      ['/blog/a?page=2', /not a canonical path/],
      ['blog/a', /not a canonical path/],
      ['https://example.com/blog/a', /not a canonical path/],
      ['', /not a canonical path/],
      [null, /params object or a path, got null/],
      [7, /params object or a path, got 7/],
      [undefined, /got undefined/],
      [{}, /'slug' is missing or empty/],
      [{ slug: '' }, /'slug' is missing or empty/],
      [{ slug: null }, /'slug' must be a string or a number, got null/],
      [{ slug: {} }, /'slug' must be a string or a number, got an object/],
      [{ slug: Number.NaN }, /'slug' must be a string or a number, got NaN/],
      [{ slug: Infinity }, /'slug' must be a string or a number, got Infinity/],
      [{ slug: 'a', page: 2 }, /no param 'page'; it has slug/],
      [{ id: 1 }, /no param 'id'/],
      [['a'], /no param '0'/],
      [{ slug: 'a/b' }, /can't be a page/],
      [{ slug: '..' }, /can't be a page/],
      [{ slug: 'a\nb' }, /can't be a page/],
      [{ slug: 'x'.repeat(256) }, /can't be a page/],
      [JSON.parse('{"__proto__":"x"}'), /no param '__proto__'/]
    ]
    for (const [item, message] of wrong) t.throws(() => read(item), { code: 'FST_ISR_ERR_PATHS', message }, JSON.stringify(item))
    t.throws(() => read({ a: 1 }, parsePattern('/about')), { message: /it has none/ })
  })
})

t.test('the list of a policy', async (t) => {
  const list = async (paths: unknown): Promise<string[]> => {
    const listed: string[] = []
    for await (const path of listPaths('/blog/:slug', blog, policyOf({ paths }))) listed.push(path)
    return listed
  }

  t.test('comes from an array, an iterable, an async iterable or a function of any of these', async (t) => {
    const items = [{ slug: 'a' }, '/blog/b']
    const listed = ['/blog/a', '/blog/b']
    t.same(await list(items), listed)
    t.same(await list(new Set(items)), listed)
    t.same(await list((function * () { yield * items })()), listed)
    t.same(await list((async function * () { yield * items })()), listed)
    t.same(await list(() => items), listed)
    t.same(await list(async () => items), listed)
    t.same(await list(async function * () { yield * items }), listed)
    t.same(await list([]), [])
    const none: string[] = []
    for await (const path of listPaths('/', parsePattern('/'), policyOf({}))) none.push(path)
    t.same(none, [])
  })

  t.test('is asked for item by item', async (t) => {
    let asked = 0
    const iterator = listPaths('/blog/:slug', blog, policyOf({ paths: function * () { for (;;) yield { slug: ++asked } } }))
    for (let i = 0; i < 3; i++) await iterator.next()
    t.equal(asked, 3)
    await iterator.return(undefined)
  })

  t.test('that fails says why, with the cause', async (t) => {
    const cause = new Error('no database')
    await t.rejects(list(() => { throw cause }), { code: 'FST_ISR_ERR_PATHS', message: /route \/blog\/:slug.*the function failed: no database/, cause })
    await t.rejects(list(async () => { throw cause }), { message: /no database/ })
    await t.rejects(list(async () => await Promise.reject(new Error())), { code: 'FST_ISR_ERR_PATHS' })
    await t.rejects(list(function * () { yield { slug: 'a' }; throw cause }), { message: /the list broke off: no database/, cause })
    await t.rejects(list(() => 'ab'), { message: /must return an array or an iterable, got "ab"/ })
    await t.rejects(list(() => undefined), { message: /got undefined/ })
    await t.rejects(list(() => ({})), { message: /got an object/ })
    await t.rejects(list([{ slug: 'a' }, 7]), { message: /got 7/ })
  })
})

t.test('which paths of a route may be stored', async (t) => {
  const make = (policy: object, pattern = '/blog/:slug'): { paths: RoutePaths, clock: TestClock, errors: Error[], evicted: string[] } => {
    const [clock, errors, evicted] = [new TestClock(), [] as Error[], [] as string[]]
    const paths = new RoutePaths({ route: pattern, pattern: parsePattern(pattern), policy: policyOf(policy), clock: clock.read, onError: error => { errors.push(error) }, onEvict: key => { evicted.push(key) } })
    return { paths, clock, errors, evicted }
  }
  const plain = (path: string): { path: string, hasQuery: boolean } => ({ path, hasQuery: false })

  t.test('a static path always may, its query variants only on demand', async (t) => {
    const strict = make({ query: ['page'] }, '/about').paths
    t.equal(strict.admit(plain('/about')), 'listed')
    t.equal(strict.admit({ path: '/about', hasQuery: true }), null)
    t.equal(make({ query: ['page'], onDemand: true }, '/about').paths.admit({ path: '/about', hasQuery: true }), 'onDemand')
  })

  t.test('what the build listed may, and what the latest list names', async (t) => {
    const { paths } = make({ paths: [{ slug: 'listed' }] })
    paths.setBuilt(new Set(['/blog/built']))
    t.equal(paths.admit(plain('/blog/built')), 'listed')
    t.equal(paths.admit(plain('/blog/other')), null)
    await paths.relistNow()
    t.equal(paths.admit(plain('/blog/listed')), 'listed')
    t.equal(paths.admit(plain('/blog/built')), 'listed')
    t.equal(paths.admit({ path: '/blog/built', hasQuery: true }), null)
    t.same([...paths], ['/blog/built', '/blog/listed'])
    paths.setBuilt(new Set(['/blog/listed']))
    t.same([...paths], ['/blog/listed'], 'each once')
    t.equal(make({ onDemand: true }).paths.admit(plain('/blog/any')), 'onDemand')
  })

  t.test('an unlisted path asks for the list again: behind, once at a time, once a minute', async (t) => {
    let asked = 0
    let names = ['a']
    const { paths, clock, errors } = make({ paths: async () => { asked++; return names.map(slug => ({ slug })) } })
    t.equal(paths.admit(plain('/blog/a')), null, 'the visitor who asks goes live')
    for (let i = 0; i < 100; i++) paths.admit(plain(`/blog/unknown-${i}`))
    await settle()
    t.equal(asked, 1)
    t.equal(paths.admit(plain('/blog/a')), 'listed')
    names = ['a', 'b']
    clock.forward(59.999)
    paths.admit(plain('/blog/b'))
    await settle()
    t.equal(asked, 1)
    t.equal(paths.admit({ path: '/blog/a', hasQuery: true }), null, 'a query of a listed path says nothing about the list')
    clock.forward(0.001)
    paths.admit(plain('/blog/b'))
    await settle()
    t.equal(asked, 2)
    t.equal(paths.admit(plain('/blog/b')), 'listed')
    t.same(errors, [])
  })

  t.test('a list that takes long is not asked for a second time meanwhile', async (t) => {
    let asked = 0
    const gate = makeGate()
    const { paths, clock } = make({ paths: async () => { asked++; await gate.opened; return [] } })
    for (let i = 0; i < 3; i++) {
      paths.relist()
      clock.forward(61)
    }
    await settle()
    t.equal(asked, 1)
    gate.open()
    await settle()
    paths.relist()
    await settle()
    t.equal(asked, 2)
  })

  t.test('a list that fails leaves the last one standing', async (t) => {
    let isDown = false
    const { paths, clock, errors } = make({ paths: () => { if (isDown) throw new Error('no database'); return ['/blog/a'] } })
    paths.admit(plain('/blog/a'))
    await settle()
    isDown = true
    clock.forward(60)
    paths.admit(plain('/blog/b'))
    await settle()
    t.match(errors, [{ code: 'FST_ISR_ERR_PATHS', message: /no database/ }])
    t.equal(paths.admit(plain('/blog/a')), 'listed')
    isDown = false
    clock.forward(60)
    paths.relist()
    await settle()
    t.equal(errors.length, 1)
  })

  t.test('a list that can only be gone through once is not lost by asking again', async (t) => {
    const { paths, clock } = make({ paths: (function * () { yield { slug: 'a' } })() })
    paths.admit(plain('/blog/a'))
    await settle()
    t.equal(paths.admit(plain('/blog/a')), 'listed')
    clock.forward(60)
    paths.admit(plain('/blog/unknown'))
    await settle()
    t.equal(paths.admit(plain('/blog/a')), 'listed')
  })

  t.test('what is stored on demand is bounded; the least recently used goes', async (t) => {
    const { paths, evicted } = make({ onDemand: true, maxPaths: 3 })
    for (const key of ['/blog/1', '/blog/2', '/blog/3', '/blog/1']) paths.use(key)
    t.same(evicted, [])
    paths.use('/blog/4')
    t.same(evicted, ['/blog/2'])
    paths.touch('/blog/3')
    paths.touch('/blog/unknown')
    paths.use('/blog/5')
    t.same(evicted, ['/blog/2', '/blog/1'])
  })
})
