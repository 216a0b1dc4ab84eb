import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import zlib from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { buildOnce, exportOf, filesOf, html, mtimeOf, open, outcomes, page, readManifestOf, rowOf } from '../helpers/site-build.js'

const LONG = 'long '.repeat(1000)

for (const buildId of [undefined, 'pinned']) {
  const kind = buildId === undefined ? 'a new id each time' : 'one id'
  const options = { isr: buildId === undefined ? {} : { buildId } }

  test(`a second build leaves alone what did not change (${kind})`, async t => {
    const dir = t.testdir()
    let text = 'one'
    const declare = (app: FastifyInstance): void => {
      page(app, '/same', () => html(LONG))
      page(app, '/other', () => html(text + LONG))
      app.get('/header', { config: { prerender: true } }, async (request, reply) => reply.header('x-text', text).send('same bytes'))
    }
    t.same(outcomes((await buildOnce(t, dir, declare, {}, options)).pages), { '/same': 'written', '/other': 'written', '/header': 'written' })
    const first = { same: mtimeOf(dir, 'same/index.html'), br: mtimeOf(dir, 'same/index.html.br'), other: mtimeOf(dir, 'other/index.html'), row: rowOf(dir, '/same') }

    text = 'two'
    const second = await buildOnce(t, dir, declare, {}, options)
    t.same(outcomes(second.pages), { '/same': 'unchanged', '/other': 'written', '/header': 'written' }, 'a header counts')
    t.equal(mtimeOf(dir, 'same/index.html'), first.same)
    t.equal(mtimeOf(dir, 'same/index.html.br'), first.br)
    t.not(mtimeOf(dir, 'other/index.html'), first.other)
    t.equal(readFileSync(path.join(dir, 'other/index.html'), 'utf8'), html(text + LONG))
    t.equal(zlib.gunzipSync(readFileSync(path.join(dir, 'other/index.html.gz'))).toString(), html(text + LONG))
    t.ok(rowOf(dir, '/same').renderedAt > first.row.renderedAt, 'it was rendered all the same')
    t.equal(rowOf(dir, '/same').sha256, first.row.sha256)
    t.same(second.removed, [])

    t.same(outcomes((await buildOnce(t, dir, declare, { force: true }, options)).pages), { '/same': 'written', '/other': 'written', '/header': 'written' })
    t.not(mtimeOf(dir, 'same/index.html'), first.same)
  })

  test(`a page that fails keeps its last good one (${kind})`, async t => {
    const dir = t.testdir()
    let isBroken = false
    let tries = 0
    const declare = (app: FastifyInstance): void => {
      page(app, '/good', () => html('good'))
      page(app, '/bad', () => {
        if (isBroken) {
          tries++
          throw new Error('database is down')
        }
        return html('was good')
      })
    }
    await buildOnce(t, dir, declare, {}, options)
    const before = { row: rowOf(dir, '/bad'), mtime: mtimeOf(dir, 'bad/index.html') }
    isBroken = true
    const report = await buildOnce(t, dir, declare, {}, options)
    t.equal(tries, 2, 'tried once more')
    t.equal(report.ok, false)
    t.same(outcomes(report.pages), { '/bad': 'kept', '/good': 'unchanged' })
    t.match(report.pages.find(row => row.key === '/bad')?.error, /\/bad answered with status 500/)
    t.equal(rowOf(dir, '/bad').renderedAt, before.row.renderedAt, 'no younger than it is')
    t.equal(mtimeOf(dir, 'bad/index.html'), before.mtime)

    const { app } = await open(t, dir, declare, options)
    const answer = await app.inject('/bad')
    t.equal(answer.body, html('was good'))
    t.match(answer.headers['cache-status'], /hit/)
  })

  test(`pages and routes that are gone leave nothing behind (${kind})`, async t => {
    const dir = t.testdir()
    const full = (app: FastifyInstance): void => {
      page(app, '/', () => html('home'))
      page(app, '/old/route', () => html(LONG))
      page(app, '/blog/:slug', ({ slug }) => html(`${slug}${LONG}`), { paths: ['/blog/a', '/blog/b'] })
      page(app, '/turned', () => html('stored'))
    }
    await buildOnce(t, dir, full, {}, options)
    const gone = rowOf(dir, '/old/route').file
    const turned = rowOf(dir, '/turned').file
    const less = (app: FastifyInstance): void => {
      page(app, '/', () => html('home'))
      page(app, '/blog/:slug', ({ slug }) => html(`${slug}${LONG}`), { paths: ['/blog/a'] })
      app.get('/turned', { config: { prerender: true } }, async (request, reply) => reply.code(404).send('gone'))
    }
    const report = await buildOnce(t, dir, less, {}, options)
    t.same(report.removed.sort(), ['/blog/b', '/old/route', '/turned'])
    t.match(report.pages.find(row => row.key === '/turned'), { outcome: 'failed', error: "it can't be stored: status-404" })
    t.same(await exportOf(dir), ['blog/a/index.html', 'blog/a/index.html.br', 'blog/a/index.html.gz', 'index.html'])
    t.equal(existsSync(path.join(dir, 'old')), false, 'nor an empty folder')
    t.same(readManifestOf(dir).pages.map(row => row.key), ['/', '/blog/a'])
    if (buildId !== undefined) {
      t.equal(existsSync(path.join(dir, gone)), false)
      t.equal(existsSync(path.join(dir, turned)), false, 'a server would find it and serve it')
    }
    const { app } = await open(t, dir, less, options)
    t.equal((await app.inject('/turned')).statusCode, 404)
    t.equal((await app.inject('/old/route')).statusCode, 404)
  })
}

test('what can\'t be stored fails and says why', async t => {
  const dir = t.testdir()
  const report = await buildOnce(t, dir, app => {
    const policy = { config: { prerender: true } }
    app.get('/cookie', policy, async (request, reply) => reply.header('set-cookie', 'id=1').send('x'))
    app.get('/missing', policy, async (request, reply) => reply.code(404).send('x'))
    app.get('/moved', policy, async (request, reply) => reply.redirect('/elsewhere'))
    app.get('/private', policy, async (request, reply) => reply.header('cache-control', 'private').send('x'))
    app.get('/vary', policy, async (request, reply) => reply.header('vary', 'user-agent').send('x'))
    app.get('/large', { config: { prerender: { maxBytes: 10 } } }, async () => 'more than ten bytes')
    app.get('/told', policy, async (request, reply) => { reply.isr.noStore(); return 'x' })
    app.get('/fine', policy, async () => 'x')
    app.addHook('onRequest', async (request, reply) => { if (request.url === '/guarded') await reply.code(401).send('who are you?') })
    app.get('/guarded', policy, async () => 'x')
  })
  t.equal(report.ok, false)
  t.same(Object.fromEntries(report.pages.map(row => [row.key, row.error])), {
    '/cookie': "it can't be stored: set-cookie",
    '/fine': undefined,
    '/guarded': "it can't be stored: status-401",
    '/large': "it can't be stored: max-bytes",
    '/missing': "it can't be stored: status-404",
    '/moved': "it can't be stored: status-302",
    '/private': "it can't be stored: cache-control",
    '/told': "it can't be stored: no-store",
    '/vary': "it can't be stored: vary"
  })
  t.same(readManifestOf(dir).pages.map(row => row.key), ['/fine'])
})

test('a failing render that works the second time is no failure', async t => {
  let tries = 0
  const report = await buildOnce(t, t.testdir(), app => {
    page(app, '/', () => {
      if (tries++ === 0) throw new Error('cold')
      return html('home')
    })
  })
  t.equal(report.ok, true)
  t.equal(tries, 2)
})

test('another URL style leaves no file of the one before', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    page(app, '/', () => html('home'))
    page(app, '/docs', () => html(LONG))
    page(app, '/docs/deep/er', () => html(LONG))
  }
  await buildOnce(t, dir, declare)
  t.same(await exportOf(dir), ['docs/deep/er/index.html', 'docs/deep/er/index.html.br', 'docs/deep/er/index.html.gz', 'docs/index.html', 'docs/index.html.br', 'docs/index.html.gz', 'index.html'])
  await buildOnce(t, dir, declare, { urlStyle: 'file' })
  t.same(await exportOf(dir), ['docs.html', 'docs.html.br', 'docs.html.gz', 'docs/deep/er.html', 'docs/deep/er.html.br', 'docs/deep/er.html.gz', 'index.html'])
  await buildOnce(t, dir, declare, {}, { isr: { urlStyle: 'directory' } })
  t.same(await exportOf(dir), ['docs/deep/er/index.html', 'docs/deep/er/index.html.br', 'docs/deep/er/index.html.gz', 'docs/index.html', 'docs/index.html.br', 'docs/index.html.gz', 'index.html'])
})

test('a page may become a folder, and a folder a page', async t => {
  const dir = t.testdir()
  const asFile = (app: FastifyInstance): void => { app.get('/thing', { config: { prerender: true } }, async () => 'plain text') }
  const asFolder = (app: FastifyInstance): void => {
    page(app, '/thing', () => html('now a page'))
    page(app, '/thing/below', () => html('below'))
  }
  await buildOnce(t, dir, asFile)
  t.same(await exportOf(dir), ['thing'])
  await buildOnce(t, dir, asFolder)
  t.same(await exportOf(dir), ['thing/below/index.html', 'thing/index.html'])
  await buildOnce(t, dir, asFile)
  t.same(await exportOf(dir), ['thing'])
})

test('encodings come and go with the options, in entries and export', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => {
    page(app, '/p', () => html(LONG))
    app.get('/noise', { config: { prerender: true } }, async (request, reply) => reply.type('text/plain').send(NOISE))
  }
  const variants = async (): Promise<string[]> => (await exportOf(dir)).filter(file => /\.(?:br|gz)$/.test(file))
  await buildOnce(t, dir, declare, { compress: false })
  t.same(await variants(), [])
  t.same(outcomes((await buildOnce(t, dir, declare)).pages), { '/noise': 'unchanged', '/p': 'written' }, 'equal bytes, but they are compressed now')
  t.same(await variants(), ['p/index.html.br', 'p/index.html.gz'])
  t.same(outcomes((await buildOnce(t, dir, declare)).pages), { '/noise': 'unchanged', '/p': 'unchanged' })
  await buildOnce(t, dir, declare, {}, { isr: { encodings: ['gzip'] } })
  t.same(await variants(), ['p/index.html.gz'])
  t.same(Object.keys(rowOf(dir, '/p').encodings), ['gzip'])
  const { app } = await open(t, dir, declare, { isr: { encodings: ['gzip'] } })
  t.equal((await app.inject({ url: '/p', headers: { 'accept-encoding': 'br' } })).headers['content-encoding'], undefined)
  await app.close()
  await buildOnce(t, dir, declare, { compress: false })
  t.same(await variants(), [])
  t.same(rowOf(dir, '/p').encodings, {})
})

/** Bytes that no encoding makes smaller, the same each time. */
const NOISE = Buffer.concat(Array.from({ length: 100 }, (_, index) => createHash('sha256').update(String(index)).digest()))

test('an export that was altered, with equal length or not, is written again', async t => {
  const dir = t.testdir()
  const declare = (app: FastifyInstance): void => { for (const name of ['a', 'b', 'c']) page(app, `/${name}`, () => html(name + LONG)) }
  await buildOnce(t, dir, declare)
  writeFileSync(path.join(dir, 'a/index.html'), html('X' + LONG))
  writeFileSync(path.join(dir, 'b/index.html.gz'), '')
  const untouched = mtimeOf(dir, 'c/index.html')
  t.same(outcomes((await buildOnce(t, dir, declare)).pages), { '/a': 'unchanged', '/b': 'unchanged', '/c': 'unchanged' })
  t.equal(readFileSync(path.join(dir, 'a/index.html'), 'utf8'), html('a' + LONG))
  t.equal(zlib.gunzipSync(readFileSync(path.join(dir, 'b/index.html.gz'))).toString(), html('b' + LONG))
  t.equal(mtimeOf(dir, 'c/index.html'), untouched)
})

test('a purged page does not come back, not even when the build can\'t render it', async t => {
  const dir = t.testdir()
  let isBroken = false
  const declare = (app: FastifyInstance): void => {
    page(app, '/secret', () => {
      if (isBroken) throw new Error('down')
      return html('leaked')
    })
  }
  const { app } = await open(t, dir, declare)
  await app.isr.prerender()
  const copy = readFileSync(path.join(dir, rowOf(dir, '/secret').file))
  const { file } = rowOf(dir, '/secret')
  await app.isr.purge({ path: '/secret' })
  t.same(await exportOf(dir), [])
  // As a purge on a machine with a copy of its own leaves it.
  writeFileSync(path.join(dir, file), copy)
  isBroken = true
  const report = await app.isr.prerender()
  t.same(outcomes(report.pages), { '/secret': 'failed' })
  t.same(await exportOf(dir), [])
  t.same((await filesOf(dir)).filter(file => file.includes(report.buildId)), [])
})
