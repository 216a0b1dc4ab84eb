// What the image of the example does, where no container engine is at hand.
import { appendFile, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t, { test } from 'tap'
import { startRedis } from '../helpers/redis-server.js'
import { compose, mebibytes, redisSettings } from './compose.js'
import { ADMIN, buildImage, laterImage, newVolume, peakMemory, probe, start } from './image.js'

interface ManifestPage { path: string, export: string | null, status: number, ttl: number | null }

const { services } = await compose()
const app = await buildImage(t)
const server = await start(t, app, { ...ADMIN, PAGES_DIR: await newVolume(app, 'first') })
const { pages, buildId } = JSON.parse(await readFile(join(app, '.prerender/.isr/manifest.json'), 'utf8')) as { pages: ManifestPage[], buildId: string }
const authorization = `Basic ${Buffer.from(`${ADMIN.ADMIN_USER}:${ADMIN.ADMIN_PASSWORD}`).toString('base64')}`

function basenames (paths: string[]): Set<string> {
  return new Set(paths.map(path => path.split('node_modules/').at(-1) ?? ''))
}

test('the image holds run-time packages only: no native tool, no compiler, no test runner', async t => {
  const entries = await readdir(join(app, 'node_modules'), { recursive: true })
  const names = basenames(entries)
  for (const tool of ['sharp', '@img', 'esbuild', '@esbuild', 'typescript', 'tap', 'playwright-core', '@types']) t.notOk(names.has(tool), tool)
  for (const needed of ['fastify', 'fastify-isr', '@fastify/static', 'ioredis']) t.ok(names.has(needed), needed)
  t.same(entries.filter(name => name.endsWith('.node')), [], 'nothing is native')
  t.same([...await readdir(app), ...await readdir(join(app, 'node_modules'))].filter(name => /^\.(env|npmrc|git|cache)/.test(name)), [], 'no secrets, no caches')
})

test('the first request after a start is a hit from the build, with digested assets, and so is every built page', async t => {
  const response = await fetch(`${server.url}/`)
  const html = await response.text()
  t.equal(response.status, 200)
  t.match(response.headers.get('cache-status'), /^fastify-isr; hit/)
  t.equal(html, await readFile(join(app, '.prerender/index.html'), 'utf8'), 'it is the page that the build has made')

  const assets = [...html.matchAll(/(?:href|src)="(\/static\/[^"]+)"/g)].map(([, path]) => path ?? '')
  t.ok(assets.some(path => path.endsWith('.css')) && assets.length > 1, 'the page has assets')
  for (const path of assets) {
    const asset = await fetch(server.url + path)
    await asset.arrayBuffer()
    t.match(path, /\.[0-9a-f]{16}\.\w+$/, `${path} is digested`)
    t.equal(asset.status, 200)
    t.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable')
  }

  for (const { path, status, ttl } of pages) {
    const response = await fetch(server.url + path, { redirect: 'manual' })
    await response.arrayBuffer()
    // What has lived longer than it may be served stale is rendered.
    if (ttl === null) t.match(response.headers.get('cache-status'), /^fastify-isr; hit/, path)
    t.equal(response.status, status, path)
  }
})

test('no link of a built page is broken in the image: it holds all that pages are made of', async t => {
  const links = new Set<string>()
  for (const { export: file } of pages) {
    if (file?.endsWith('.html') !== true) continue
    for (const [, path] of (await readFile(join(app, '.prerender', file), 'utf8')).matchAll(/\shref="(\/[^"#]*)/g)) links.add(path?.replaceAll('&amp;', '&') ?? '')
  }
  const broken: string[] = []
  for (const link of links) {
    const response = await fetch(server.url + link, { redirect: 'manual', headers: { authorization } })
    await response.arrayBuffer()
    if (response.status >= 400) broken.push(`${response.status} ${link}`)
  }
  t.ok(links.size > 10)
  t.same(broken, [])
})

test('figures are shown to an administrator only', async t => {
  t.equal((await fetch(`${server.url}/admin/stats`)).status, 401)
  t.equal((await fetch(`${server.url}/admin/stats`, { headers: { authorization } })).status, 200)
})

test('the probe of the image says whether the server answers, and does not wait for one that hangs', async t => {
  t.equal(await probe(server.port), 0)
  process.kill(server.pid, 'SIGSTOP')
  t.not(await probe(server.port), 0, 'it hangs')
  process.kill(server.pid, 'SIGCONT')
  t.equal(await probe(server.port), 0)
})

test('the server ends in good order when it is told to, and has never held more than it may', async t => {
  const peak = await peakMemory(server.pid)
  t.comment(`peak memory of the server (VmHWM): ${peak} MiB`)
  t.ok(peak < mebibytes(services['app']?.mem_limit), 'it fits the limit of the compose file')
  t.equal(await server.stop('SIGTERM'), 0)
  t.not(await probe(server.port), 0, 'the probe tells')
})

test('without the credentials of an administrator production does not start', async t => {
  const server = await start(t, app, { PAGES_DIR: await newVolume(app, 'bare') })
  t.equal(server.isUp, false)
  if (!server.isUp) t.not(await server.ended, 0)
  t.match(server.output, /ADMIN_USER|ADMIN_PASSWORD/)
})

test('pages of a new image win over those of an old volume; a step back finds its pages again, with what was rendered since', async t => {
  const volume = await newVolume(app, 'kept')
  const env = { ...ADMIN, PAGES_DIR: volume }
  const later = await laterImage(app, 'later', async copy => { await appendFile(join(copy, 'example-app/site/pages/index.html'), '\n<!-- later -->\n') })

  const old = await start(t, app, env)
  t.notMatch(await (await fetch(`${old.url}/`)).text(), '<!-- later -->')
  t.equal(await old.stop('SIGTERM'), 0)

  const fresh = await start(t, later, env)
  const first = await fetch(`${fresh.url}/`)
  t.match(first.headers.get('cache-status'), /^fastify-isr; hit/)
  t.match(await first.text(), '<!-- later -->')
  t.equal(await fresh.stop('SIGTERM'), 0)
  const kept = await stat(join(volume, '.isr', buildId))

  const back = await start(t, app, env)
  const again = await fetch(`${back.url}/`)
  t.match(again.headers.get('cache-status'), /^fastify-isr; hit/)
  t.notMatch(await again.text(), '<!-- later -->')
  t.equal(await back.stop('SIGTERM'), 0)
  t.equal((await stat(join(volume, '.isr', buildId))).ino, kept.ino, 'its pages are not copied once more')
  t.same((await readdir(join(volume, '.isr'))).filter(name => name.includes('staging')), [])
})

test('with the Redis of the compose file the first request is a hit as well, and fresh', async t => {
  const redis = await startRedis(t, { conf: redisSettings(services) })
  const server = await start(t, app, { ...ADMIN, PAGES_DIR: await newVolume(app, 'redis'), REDIS_URL: `redis://127.0.0.1:${redis.port}` })
  const response = await fetch(`${server.url}/`)
  t.match(response.headers.get('cache-status'), /^fastify-isr; hit(?!.*detail)/)
  t.equal(await response.text(), await readFile(join(app, '.prerender/index.html'), 'utf8'))
  t.equal(await server.stop('SIGTERM'), 0)
})

test('a cache directory that can\'t be written stops nothing: pages come from the image', async t => {
  const server = await start(t, app, { ...ADMIN, PAGES_DIR: join(app, 'package.json/cache') })
  const response = await fetch(`${server.url}/`)
  t.match(response.headers.get('cache-status'), /^fastify-isr; hit/)
  t.match(server.output, /ENOTDIR.*served from the image/)
  t.equal(await server.stop('SIGTERM'), 0)
})
