import t from 'tap'
import { Checker, type Checked, type CheckerOptions } from '../../../lib/site/freshness/index.js'
import { makeGate, settle, TestClock } from '../../helpers/engine.js'

const nothing: Checked = { changed: [], removed: [], errors: [] }
const FILES: Record<string, string[]> = {
  '/': ['pages/index.html', 'partials/head.html', 'content/blog/'],
  '/about': ['pages/about.html', 'partials/head.html']
}

interface TestChecker { checker: Checker, clock: TestClock, looks: (string[] | null)[], failures: unknown[] }

function make (options: Partial<CheckerOptions> = {}): TestChecker {
  const clock = new TestClock()
  const looks: (string[] | null)[] = []
  const failures: unknown[] = []
  const { check = async () => nothing, ...more } = options
  const checker = new Checker({
    every: 60_000,
    clock: clock.read,
    closure: page => FILES[page] ?? null,
    onError: error => { failures.push(error) },
    ...more,
    async check (paths) {
      looks.push(paths === undefined ? null : [...paths])
      return await check(paths)
    }
  })
  return { checker, clock, looks, failures }
}

t.test('a page is checked once per interval, however many requests come', async (t) => {
  const { checker, clock, looks } = make()
  for (let nth = 0; nth < 1000; nth++) checker.due('/')
  await checker.settled()
  t.same(looks, [], 'what was just loaded is not due')
  clock.forward(60)
  for (let nth = 0; nth < 1000; nth++) checker.due('/')
  await checker.settled()
  for (let nth = 0; nth < 1000; nth++) checker.due('/')
  await checker.settled()
  t.same(looks, [FILES['/']])
  clock.forward(59.999)
  checker.due('/')
  await checker.settled()
  t.equal(looks.length, 1)
  clock.forward(0.001)
  checker.due('/')
  await checker.settled()
  t.equal(looks.length, 2)
  t.match(checker.stats, { hits: 3002, misses: 0, revalidations: 0, revalidationErrors: 0 })
})

t.test('pages that nobody asks for any more are not held, and those that were just checked are', async (t) => {
  const { checker, clock, looks } = make({ closure: page => [`${page}.html`] })
  const ask = async (prefix: string): Promise<void> => {
    for (let nth = 0; nth < 3000; nth++) checker.due(`/${prefix}/${nth}`)
    await checker.settled()
  }
  for (const prefix of ['a', 'b', 'c', 'd']) {
    clock.forward(60)
    await ask(prefix)
    await ask(prefix)
  }
  t.equal(looks.flat().length, 12_000, 'each page once')
  t.ok(checker.held <= 6000, `${checker.held} are held`)
})

t.test('a check that takes longer than the interval is not begun a second time beside itself', async (t) => {
  const gate = makeGate()
  let running = 0
  const { checker, clock, looks } = make({
    async check () {
      t.equal(++running, 1)
      await gate.opened
      running--
      return nothing
    }
  })
  for (let nth = 0; nth < 5; nth++) {
    clock.forward(60)
    checker.due('/')
    checker.due('/about')
    await settle()
  }
  t.equal(looks.length, 1)
  gate.open()
  await checker.settled()
  t.equal(looks.length, 2, 'what came due meanwhile is looked at once more')
})

t.test('pages that are due together are checked together', async (t) => {
  const { checker, clock, looks } = make()
  clock.forward(60)
  checker.due('/')
  checker.due('/about')
  await checker.settled()
  t.same(looks, [['pages/index.html', 'partials/head.html', 'content/blog/', 'pages/about.html']])
})

t.test('0 is never', async (t) => {
  const { checker, clock, looks } = make({ every: null })
  clock.forward(1e9)
  checker.due('/')
  checker.missed('/')
  await checker.settled()
  t.same(looks, [])
  t.match(checker.stats, { hits: 1, misses: 1 })
})

t.test('for pages that nobody knows all files are looked at, once per interval together', async (t) => {
  const { checker, clock, looks } = make()
  clock.forward(60)
  for (let nth = 0; nth < 1000; nth++) checker.missed(`/made-up/${nth}`)
  await checker.settled()
  for (let nth = 0; nth < 1000; nth++) checker.missed(`/made-up/${nth}`)
  await checker.settled()
  t.same(looks, [null])
  t.match(checker.stats, { misses: 2000 })
})

t.test('each page counts what concerns it', async (t) => {
  let found: Checked = nothing
  const { checker, clock } = make({ check: async () => found })
  const after = async (checked: Partial<Checked>): Promise<[revalidations: number, errors: number]> => {
    const before = checker.stats
    found = { ...nothing, ...checked }
    clock.forward(60)
    checker.due('/')
    checker.due('/about')
    await checker.settled()
    return [checker.stats.revalidations - before.revalidations, checker.stats.revalidationErrors - before.revalidationErrors]
  }
  const broken = (file: string): Error => Object.assign(new Error('broken'), { file })
  t.same(await after({}), [0, 0])
  t.same(await after({ changed: ['partials/head.html'] }), [2, 0])
  t.same(await after({ changed: ['pages/about.html', 'page:/about'] }), [1, 0])
  t.same(await after({ changed: ['content/blog/new.md', 'collection:posts'] }), [1, 0])
  t.same(await after({ changed: ['partials/other.html'] }), [0, 0])
  t.same(await after({ errors: [broken('pages/index.html')] }), [0, 1])
  t.same(await after({ changed: ['pages/index.html'], errors: [broken('partials/head.html')] }), [0, 2])
  t.same(await after({ changed: ['partials/x.html'], problems: [{ code: 'malformed_tag', message: '', file: 'partials/x.html', line: 1, column: 1, frame: '', usedBy: ['pages/about.html'] }] }), [0, 1])
  t.same(await after({ removed: ['/about'], changed: ['pages/about.html'] }), [1, 0])
})

t.test('a check that fails counts for each page, is told, and is tried again after the interval', async (t) => {
  let fails = true
  const { checker, clock, looks, failures } = make({
    async check () {
      if (fails) throw new Error('the disk is gone')
      return nothing
    }
  })
  clock.forward(60)
  checker.due('/')
  checker.due('/about')
  await checker.settled()
  t.match(checker.stats, { revalidationErrors: 2, revalidations: 0 })
  t.match(failures, [{ message: 'the disk is gone' }])
  checker.due('/')
  await checker.settled()
  t.equal(looks.length, 1)
  fails = false
  clock.forward(60)
  checker.due('/')
  await checker.settled()
  t.match([looks.length, checker.stats.revalidationErrors], [2, 2])
})

t.test('a clock that is put back stops no checks', async (t) => {
  const { checker, clock, looks } = make()
  clock.forward(60)
  checker.due('/')
  await checker.settled()
  clock.forward(-1e6)
  checker.due('/')
  await checker.settled()
  checker.due('/')
  await checker.settled()
  t.equal(looks.length, 2)
})

t.test('closing waits for the check under way, and no other is begun', async (t) => {
  const gate = makeGate()
  const { checker, clock, looks } = make({ check: async () => { await gate.opened; return nothing } })
  clock.forward(60)
  checker.due('/')
  await settle()
  clock.forward(60)
  checker.due('/')
  let closed = false
  const closing = checker.close().then(() => { closed = true })
  await settle()
  t.equal(closed, false)
  gate.open()
  await closing
  clock.forward(60)
  checker.due('/about')
  await checker.settled()
  t.equal(looks.length, 1)
})
