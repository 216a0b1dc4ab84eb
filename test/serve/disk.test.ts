import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { entryFile } from '../../lib/cache/disk-tier.js'
import type { IsrOptions, RoutePolicy } from '../../lib/index.js'
import { cacheStatus, counted, record, start, TestClock, until, type Counted, type Site } from '../helpers/app.js'

interface Page extends Site { page: Counted }

/** An app on a directory; started again it is a restart. */
async function site (t: Parameters<typeof start>[0], dir: string, isr: IsrOptions = {}, more: { policy?: RoutePolicy, page?: Counted, clock?: TestClock } = {}): Promise<Page> {
  const page = more.page ?? counted((nth, _q, reply) => reply.type('text/html').send(`#${nth} ${'text '.repeat(500)}`))
  const started = await start(t, (app) => {
    app.get('/page', { config: { prerender: more.policy ?? { ttl: 3600 } } }, page)
    app.get('/page/:id', { config: { prerender: { onDemand: true, ...more.policy } } }, page)
  }, { isr: { dir, disk: {}, buildId: 'b', ...isr }, ...(more.clock === undefined ? {} : { clock: more.clock }) })
  return { ...started, page }
}

const fileOf = (dir: string, key: string): string => path.join(dir, '.isr', entryFile('b', key))

async function written (dir: string, key: string): Promise<void> {
  await until(() => existsSync(fileOf(dir, key)), `the file of ${key}`)
}

t.test('a restart serves from disk what was rendered before, with its age and tag', async (t) => {
  const dir = t.testdir({})
  const clock = new TestClock()
  const first = await site(t, dir, {}, { clock })
  const before = await first.get('/page')
  const onDemand = await first.get('/page/1')
  await first.app.close()
  clock.forward(60)
  const second = await site(t, dir, {}, { clock })
  const events = record(t, 'serve')
  for (const [url, old] of [['/page', before], ['/page/1', onDemand]] as const) {
    const after = await second.get(url)
    t.equal(after.body, old.body)
    t.equal(after.headers.etag, old.headers.etag)
    t.equal(after.headers.date, old.headers.date)
    t.equal(after.headers.age, '60')
    t.match(cacheStatus(after), url === '/page' ? 'hit; ttl=3540' : 'hit')
  }
  t.equal(second.page.renders, 0)
  t.same(events.map(event => event.source), ['disk', 'disk'])
  t.equal(cacheStatus(await second.get('/page')), 'hit; ttl=3540')
  t.equal(events.at(-1)?.source, 'memory', 'promoted')
})

t.test('every encoding survives a restart', async (t) => {
  const dir = t.testdir({})
  const first = await site(t, dir)
  const answers = await Promise.all(['br', 'gzip', 'identity'].map(encoding => first.get('/page', { 'accept-encoding': encoding })))
  await first.app.close()
  const second = await site(t, dir)
  for (const before of answers) {
    const after = await second.get('/page', { 'accept-encoding': String(before.headers['content-encoding'] ?? 'identity') })
    t.same(after.rawPayload, before.rawPayload)
    t.equal(after.headers.etag, before.headers.etag)
  }
  t.equal(second.page.renders, 0)
})

t.test('a regenerated page is what a restart serves', async (t) => {
  const dir = t.testdir({})
  const clock = new TestClock()
  const page = counted()
  const first = await site(t, dir, {}, { clock, page })
  t.ok((await first.app.isr.prerender()).ok)
  t.equal((await first.get('/page')).body, '#1')
  await first.app.isr.refresh({ path: '/page' })
  t.equal((await first.get('/page')).body, '#2')
  await first.app.close()
  const second = await site(t, dir, {}, { clock, page })
  t.equal((await second.get('/page')).body, '#2')
  t.equal(page.renders, 2)
})

t.test('an order outlives a restart', async (t) => {
  const dir = t.testdir({})
  const clock = new TestClock()
  const page = counted()
  const first = await site(t, dir, {}, { clock, page })
  await first.get('/page')
  await first.get('/page/1')
  clock.forward(1)
  await first.app.isr.revalidate({ path: '/page' }, { expire: 0 })
  await first.app.isr.purge({ path: '/page/1' })
  await first.app.close()
  const second = await site(t, dir, {}, { clock, page })
  t.equal(cacheStatus(await second.get('/page')), 'fwd=stale; stored')
  t.equal(cacheStatus(await second.get('/page/1')), 'fwd=uri-miss; stored')
})

t.test('a damaged entry is rendered again, reported once, and never served', async (t) => {
  const damages: Record<string, (file: string) => void> = {
    'a flipped byte in the body': file => flip(file, -200),
    'a flipped byte in the head': file => flip(file, 60),
    'a flipped byte in the checksum': file => flip(file, -1),
    truncated: file => truncateSync(file, 100),
    empty: file => writeFileSync(file, ''),
    'another file': file => writeFileSync(file, '<html>evil</html>'),
    'a link': (file) => { rmSync(file); symlinkSync('/etc/passwd', file) },
    'a folder': (file) => { rmSync(file); mkdirSync(file) },
    'the entry of another page': file => writeFileSync(file, readFileSync(fileOf(path.resolve(file, '../../../..'), '/page/1')))
  }
  for (const [name, damage] of Object.entries(damages)) {
    t.test(name, async (t) => {
      const dir = t.testdir({})
      const first = await site(t, dir)
      await first.get('/page')
      await first.get('/page/1')
      await first.app.close()
      damage(fileOf(dir, '/page'))
      const errors = record(t, 'tier-error')
      const second = await site(t, dir)
      const answer = await second.get('/page')
      t.equal(answer.statusCode, 200)
      t.match(answer.body, /^#1 text/)
      t.equal(cacheStatus(answer), 'fwd=uri-miss; stored')
      for (let i = 0; i < 3; i++) t.match(cacheStatus(await second.get('/page')), /^hit/)
      t.ok(errors.some(event => event.operation === 'read' && event.key === '/page'))
      t.equal(second.warnings().filter(message => message.includes('could not read')).length, 1)
      t.equal(second.page.renders, 1)
    })
  }

  function flip (file: string, at: number): void {
    const bytes = readFileSync(file)
    const index = at < 0 ? bytes.length + at : at
    bytes[index] = (bytes[index] ?? 0) ^ 1
    writeFileSync(file, bytes)
  }
})

t.test('a deleted entry is rendered again, without a word', async (t) => {
  const dir = t.testdir({})
  const first = await site(t, dir)
  await first.get('/page')
  await first.app.close()
  const second = await site(t, dir)
  rmSync(fileOf(dir, '/page'))
  t.equal(cacheStatus(await second.get('/page')), 'fwd=uri-miss; stored')
  t.same(second.warnings(), [])
})

t.test('a directory that can not be written to: pages are served, and it is said once', async (t) => {
  const base = t.testdir({ file: 'not a folder' })
  const events = record(t, 'tier-error')
  const { get, app, page, warnings } = await site(t, path.join(base, 'file'))
  for (let i = 0; i < 5; i++) {
    t.equal((await get('/page')).statusCode, 200)
    t.equal((await get(`/page/${i}`)).statusCode, 200)
  }
  await until(() => events.length >= 6)
  t.equal(page.renders, 6)
  const writes = warnings().filter(message => message.includes('could not write'))
  t.equal(writes.length, 1)
  const order = await app.isr.revalidate({ path: '/page' })
  t.equal(order.degraded, true, 'the order can not be made durable')
  t.equal(cacheStatus(await get('/page')), 'hit; ttl=0; detail=stale')
})

t.test('an old copy that could not be replaced does not come back', async (t) => {
  const dir = t.testdir({})
  const page = counted()
  // No room in memory: each look goes to the disk.
  const options = { memory: { maxBytes: 0 } }
  const { get, app } = await site(t, dir, options, { page })
  t.equal((await get('/page')).body, '#1')
  await written(dir, '/page')
  const folder = path.dirname(fileOf(dir, '/page'))
  rmSync(folder, { recursive: true })
  writeFileSync(folder, 'in the way')
  const troubles = record(t, 'tier-error')
  await app.isr.refresh({ path: '/page' })
  await until(() => troubles.some(({ operation }) => operation === 'write'), 'the write that fails')
  t.equal((await get('/page')).body, '#3', 'neither the old page nor an error')
})

t.test('writeBack: false reads the build and writes nothing', async (t) => {
  const dir = t.testdir({})
  const page = counted()
  const builder = await site(t, dir, {}, { page })
  await builder.app.isr.prerender()
  await builder.app.close()
  const before = readdirSync(dir, { recursive: true }).length
  const { get, app } = await site(t, dir, { disk: { writeBack: false } }, { page })
  t.match(cacheStatus(await get('/page')), /^hit/)
  await app.isr.refresh({ path: '/page' })
  await get('/page/9')
  await app.close()
  t.equal(readdirSync(dir, { recursive: true }).length, before)
})

t.test('disk: false touches no file at all', async (t) => {
  const dir = path.join(t.testdir({}), 'out')
  const { get, app } = await site(t, dir, { disk: false })
  await get('/page')
  await app.isr.purge({ all: true })
  await app.close()
  t.notOk(existsSync(dir))
  t.equal(app.isr.stats().disk, null)
})

t.test('without a build or a buildId nothing is written, and that is said once', async (t) => {
  const dir = path.join(t.testdir({}), 'out')
  const { get, app, warnings } = await start(t, (app) => { app.get('/page', { config: { prerender: true } }, counted()) }, { isr: { dir, disk: {} } })
  await get('/page')
  await app.isr.revalidate({ all: true })
  await app.close()
  t.notOk(existsSync(dir))
  t.equal(warnings().length, 1)
  t.match(warnings()[0], /nothing is written to disk: .*'buildId'/)
})

t.test('disk.maxBytes evicts what was written at run time, never what was built', async (t) => {
  const dir = t.testdir({})
  const page = counted(nth => `#${nth} ${'x'.repeat(1000)}`)
  const { app, get } = await site(t, dir, { disk: { maxBytes: 6000 } }, { page })
  await app.isr.prerender()
  for (let id = 0; id < 20; id++) {
    await get(`/page/${id}`)
    // One after another: pages that are written at the same time may land in any order.
    await written(dir, `/page/${id}`)
  }
  await until(() => (app.isr.stats().disk?.bytes ?? Infinity) <= 6000)
  await app.close()
  t.ok(existsSync(fileOf(dir, '/page')), 'the built page')
  const left = Array.from({ length: 20 }, (_, id) => id).filter(id => existsSync(fileOf(dir, `/page/${id}`)))
  t.ok(left.length > 0 && left.length < 6, left.join())
  t.equal(left.at(-1), 19)
})

t.test('entry files are readable by nobody else', async (t) => {
  const dir = t.testdir({})
  const { get, app } = await site(t, dir)
  await get('/page')
  await app.close()
  const file = fileOf(dir, '/page')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(statSync(path.dirname(file)).mode & 0o777, 0o700)
})

t.test('two processes on one directory take over what the other wrote', async (t) => {
  const dir = t.testdir({})
  const page = counted()
  const one = await site(t, dir, {}, { page })
  await one.get('/page')
  await written(dir, '/page')
  const two = await site(t, dir, {}, { page })
  t.equal((await two.get('/page')).body, '#1')
  t.equal(page.renders, 1)
})

t.test('an entry of a route that is gone, or of a status no longer allowed, is not served', async (t) => {
  const dir = t.testdir({})
  const page = counted((_n, _q, reply) => reply.code(404).send('none'))
  const first = await site(t, dir, {}, { page, policy: { statuses: { 404: 60 } } })
  await first.get('/page')
  await first.app.close()
  const errors = record(t, 'error')
  const second = await site(t, dir, {}, { page, policy: { ttl: 5 } })
  t.equal(cacheStatus(await second.get('/page')), 'fwd=miss; stored=?0; detail=status-404')
  t.equal(errors.length, 1)
})

t.test('orders that the disk refuses are reported once per outage', async (t) => {
  const dir = t.testdir({})
  const { app, get, warnings } = await site(t, dir, {}, { page: counted() })
  const marks = path.join(dir, '.isr', 'marks')
  await get('/page')
  const order = async (): Promise<boolean> => (await app.isr.revalidate({ path: '/page' })).degraded
  const reports = (): number => warnings().filter(message => message.includes('orders could not be written')).length
  for (const outage of [1, 2]) {
    rmSync(marks, { recursive: true, force: true })
    mkdirSync(path.dirname(marks), { recursive: true })
    writeFileSync(marks, 'in the way')
    t.same([await order(), await order()], [true, true])
    t.equal(reports(), outage)
    rmSync(marks)
    t.equal(await order(), false, 'over')
  }
})
