import t, { test } from 'tap'
import { describeError } from '../lib/cli/cli-error.js'
import { count, formatBytes, formatDuration, formatTable, painter, printable, shorten, type Output } from '../lib/cli/format.js'
import { ProgressBar, ProgressLines } from '../lib/cli/progress.js'
import { Reporter, type ReportOptions } from '../lib/cli/report.js'
import type { BuildProgress, BuildReport, BuildRow } from '../types/index.js'

// Whatever the terminal of the test is.
for (const name of ['FORCE_COLOR', 'NO_COLOR', 'TERM']) {
  const before = process.env[name]
  delete process.env[name]
  t.teardown(() => { if (before !== undefined) process.env[name] = before })
}

class Terminal implements Output {
  text = ''
  readonly isTTY: boolean
  readonly columns: number
  constructor (isTTY = false, columns = 80) {
    this.isTTY = isTTY
    this.columns = columns
  }

  hasColors () { return this.isTTY }

  write (text: string, done?: () => void) {
    this.text += text
    done?.()
  }
}

const plain = (_style: unknown, text: string) => text

function row (path: string, more: Partial<BuildRow> = {}): BuildRow {
  return { key: path, path, route: path, outcome: 'written', status: 200, bytes: 1234, durationMs: 3, encodings: { br: 321 }, ...more }
}

function progress (done: number, total: number, path = '/a', isTotalKnown = true): BuildProgress {
  return { done, total, isTotalKnown, row: row(path) }
}

function report (pages: BuildRow[], more: Partial<BuildReport> = {}): BuildReport {
  return {
    buildId: 'b1',
    dir: process.cwd() + '/out',
    generatedAt: '2026-01-01T00:00:00.000Z',
    durationMs: 1500,
    pages,
    removed: [],
    sitemap: { file: null, urls: 0 },
    warnings: [],
    problems: [],
    ok: pages.every(page => page.error === undefined),
    ...more
  }
}

async function printed (pages: BuildRow[], more: Partial<BuildReport> = {}, options: Partial<ReportOptions> = {}) {
  const streams = { stdout: new Terminal(), stderr: new Terminal() }
  await new Reporter({ json: false, quiet: false, failFast: false, hasLog: false, ...options }, streams).finish(report(pages, more))
  return { out: streams.stdout.text, err: streams.stderr.text }
}

test('sizes, durations and counts are for people', async t => {
  t.same([0, 999, 1000, 1234, 999_949, 999_950, 5_000_000, 2.5e12].map(formatBytes),
    ['0 B', '999 B', '1.0 kB', '1.2 kB', '999.9 kB', '1.0 MB', '5.0 MB', '2500.0 GB'])
  t.same([0, 0.4, 12.4, 999.4, 999.5, 1500, 59_949, 59_950, 125_000].map(formatDuration),
    ['0 ms', '0 ms', '12 ms', '999 ms', '1.0 s', '1.5 s', '59.9 s', '1 min 0 s', '2 min 5 s'])
  t.same([count(1, 'page'), count(0, 'page'), count(12_345, 'page')], ['1 page', '0 pages', '12,345 pages'])
})

test('text of the app can not steer the terminal', async t => {
  t.equal(printable('a\x1b[2Jb\r\nc\x07\x9bd'), 'a[2Jb cd')
})

test('a long path keeps its two ends', async t => {
  t.equal(shorten('/short', 10), '/short')
  t.equal(shorten('/a/very/long/path/to/some-page', 16), '/a/very/lo…-page')
  t.equal(shorten('/abcdef', 3), '/a…')
})

test('an error is told with its causes', async t => {
  const refused = Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })
  const text = describeError(new Error('no posts', { cause: new TypeError('fetch failed', { cause: refused }) }))
  t.match(text, /^Error: no posts\n +at [^]*\ncaused by: TypeError: fetch failed\n +at [^]*\ncaused by: AggregateError: ECONNREFUSED/)
  t.equal(describeError(Object.assign(new Error('wrong ttl'), { code: 'FST_ISR_ERR_X' })), 'wrong ttl (FST_ISR_ERR_X)')
  t.equal(describeError('a string'), 'a string')

  const circular = new Error('round and round')
  circular.cause = new Error('and back', { cause: circular })
  t.ok(describeError(circular).split('caused by').length <= 6)
})

test('columns are aligned', async t => {
  const lines = formatTable([{ title: 'Name', align: 'left' }, { title: 'N', align: 'right' }, { title: 'Rest', align: 'left' }],
    [['a', '1', 'x'], ['long name', '100', '']], line => line)
  t.same(lines, ['Name         N  Rest', 'a            1  x', 'long name  100'])
})

test('colours', async t => {
  const red = '\x1b[31mx\x1b[39m'
  t.equal(painter(new Terminal(true))('red', 'x'), red)
  t.equal(painter(new Terminal(false))('red', 'x'), 'x')
  process.env['FORCE_COLOR'] = '1'
  t.equal(painter(new Terminal(false))('red', 'x'), red)
  process.env['FORCE_COLOR'] = '0'
  t.equal(painter(new Terminal(true))('red', 'x'), 'x')
  delete process.env['FORCE_COLOR']
})

test('the progress bar', async t => {
  await t.test('is one line that is drawn over, and not for every page', async t => {
    const terminal = new Terminal(true)
    let now = 0
    const bar = new ProgressBar(terminal, plain, () => now)
    bar.update(progress(1, 4))
    now = 100
    bar.update(progress(2, 4, '/b'))
    now = 110
    bar.update(progress(3, 4, '/c'))
    t.same(terminal.text.split('\r\x1b[2K').slice(1), ['██████░░░░░░░░░░░░░░░░░░  1/4  25 %  /a', '████████████░░░░░░░░░░░░  2/4  50 %  /b'])
    bar.update(progress(4, 4, '/d'))
    t.match(terminal.text, /█{24} {2}4\/4 {2}100 % {2}\/d$/)
    bar.clear()
    bar.clear()
    t.match(terminal.text, /\/d\r\x1b\[2K$/) // eslint-disable-line no-control-regex
  })

  await t.test('shows a count while the total grows', async t => {
    const terminal = new Terminal(true)
    let now = 0
    const bar = new ProgressBar(terminal, plain, () => now)
    for (let done = 1; done <= 3; done++) {
      now += 100
      bar.update(progress(done, done, '/a', false))
      bar.update(progress(done, done, '/b', false))
    }
    t.notMatch(terminal.text, '%')
    t.equal(terminal.text.split('\r').length, 4, 'not for every page, though all that are known are done')
    t.match(terminal.text, /3 pages so far {2}\/a$/)
  })

  await t.test('never wraps', async t => {
    for (const columns of [20, 30, 50, 80]) {
      const terminal = new Terminal(true, columns)
      const bar = new ProgressBar(terminal, plain, () => 0)
      bar.update(progress(1, 1, `/${'long/'.repeat(50)}`))
      t.ok(terminal.text.replace('\r\x1b[2K', '').length < columns, `${columns} columns`)
    }
  })
})

test('progress in a log is a line per page, then a count every 5 s', async t => {
  const lines: string[] = []
  let now = 0
  const log = new ProgressLines(line => lines.push(line), () => now)
  for (let done = 1; done <= 1000; done++) {
    now += 10
    log.update(progress(done, 1000, `/${done}`))
  }
  t.equal(lines[0], 'written /1 (3 ms)')
  t.same(lines.slice(199), ['written /200 (3 ms)', '700 of 1,000 pages'])
  now += 5000
  log.update(progress(1001, 1001, '/1001', false))
  t.equal(lines.at(-1), '1,001 pages so far')
})

test('the report chooses its progress by the terminal', async t => {
  const cases = [
    { isTTY: true, options: {}, shows: '\r\x1b[2K' },
    { isTTY: false, options: {}, shows: 'written /a (3 ms)\n' },
    { isTTY: true, options: { quiet: true }, shows: '' },
    { isTTY: true, options: { json: true }, shows: '' }
  ]
  for (const { isTTY, options, shows } of cases) {
    const stderr = new Terminal(isTTY)
    const stdout = new Terminal(isTTY)
    const reporter = new Reporter({ json: false, quiet: false, failFast: false, hasLog: false, ...options }, { stdout, stderr })
    reporter.onProgress(progress(1, 2))
    t.ok(shows === '' ? stderr.text === '' : stderr.text.startsWith(shows), JSON.stringify({ isTTY, options }))
    t.equal(stdout.text, '')
  }
})

test('the table', async t => {
  await t.test('has a row per page', async t => {
    const { out, err } = await printed([row('/'), row('/about', { bytes: 12, outcome: 'unchanged', encodings: {} })])
    t.equal(out, `
Path    Status    Size  Brotli  Time  Outcome
/          200  1.2 kB   321 B  3 ms  written
/about     200    12 B       –  3 ms  unchanged

✔ 2 pages in 1.5 s: 1 written, 1 unchanged
  build b1 in out
`)
    t.equal(err, '')
  })

  await t.test('of many pages is cut, the failed ones first', async t => {
    const pages = Array.from({ length: 60 }, (_, at) => row(`/${at}`))
    pages[58] = { key: '/58', path: '/58', route: '/:x', outcome: 'failed', error: 'it broke' }
    const { out } = await printed(pages, { removed: ['/gone'], sitemap: { file: 'sitemap.xml', urls: 59 } })
    const lines = out.split('\n')
    t.match(lines[2], /^\/58 +– +– +– +– +failed$/)
    t.equal(lines[52], '… and 10 more pages; --json lists them all')
    t.match(out, '✖ 60 pages in 1.5 s: 59 written, 1 failed, 1 removed\n  build b1 in out, with sitemap.xml\n')
  })

  await t.test('is left out when nothing was rendered', async t => {
    t.equal((await printed([])).out, '\n✔ 0 pages in 1.5 s: nothing to render\n  build b1 in out\n')
  })

  await t.test('says that a build that stopped early was thrown away', async t => {
    const { out } = await printed([row('/', { outcome: 'failed', error: 'it broke' })], {}, { failFast: true })
    t.match(out, /1 failed\n {2}stopped at the first failure; the last build is untouched\n$/)
  })
})

test('what went wrong', async t => {
  const pages = [
    row('/kept', { outcome: 'kept', error: 'it\nbroke' }),
    { key: '/new', path: '/new', route: '/new', outcome: 'failed', error: 'it broke too' } as const
  ]
  const more = { ok: false, warnings: ['mind the gap'], problems: [{ route: '/:slug', message: 'paths threw' }, { route: '/:slug', path: '/x', message: 'no route' }, { message: 'alone' }] }
  const failures = `
Problems
  /:slug  paths threw
  /x  no route
  alone

Failed
  /kept  it broke (the page of the last build stays)
  /new  it broke too
`
  const hint = '  (--log-level error shows what the app logged)\n'

  await t.test('goes to stderr', async t => {
    t.equal((await printed(pages, more)).err, `\nWarnings\n  mind the gap\n${failures}${hint}`)
    t.equal((await printed(pages, more, { hasLog: true })).err, `\nWarnings\n  mind the gap\n${failures}`)
  })

  await t.test('is all that --quiet prints', async t => {
    t.same(await printed(pages, more, { quiet: true }), { out: '', err: failures })
  })

  await t.test('is on stderr beside the one line of --json', async t => {
    const { out, err } = await printed(pages, more, { json: true })
    t.same(JSON.parse(out), report(pages, more))
    t.equal(out.split('\n').length, 2)
    t.match(err, failures)
  })

  await t.test('is bounded', async t => {
    const { err } = await printed(Array.from({ length: 1200 }, (_, at) => row(`/${at}`, { outcome: 'failed', error: 'no' })))
    t.match(err, '… and 1,150 more; --json lists them all')
    t.ok(err.split('\n').length < 60)
  })
})
