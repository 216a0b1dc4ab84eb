import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import zlib from 'node:zlib'
import tap, { test } from 'tap'
import { readManifest } from '../../lib/build/manifest.js'
import { decode } from '../../lib/cache/codec.js'
import { entryFile } from '../../lib/cache/disk-tier.js'
import { generationOf, site, type ChildSettings } from '../helpers/site-child.js'

const CHILD = fileURLToPath(new URL('../helpers/site-child.js', import.meta.url))
const PAGES = 12
/** Most of the time goes into starting processes: several at a time. */
tap.jobs = 3
tap.setTimeout(110_000)
/** Few pages and quick encodings: a round takes a blink. */
const SMALL = { pages: PAGES, build: { brotli: 1 } }

function start (what: 'build' | 'serve', dir: string, settings: ChildSettings): ChildProcess {
  // Without the test runner's loaders, which would take longer than the build.
  return spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, CHILD, what, dir, JSON.stringify(settings)], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function killSoon (child: ChildProcess, ms: number): Promise<void> {
  const ended = once(child, 'exit')
  await once(child.stdout as NodeJS.ReadableStream, 'data')
  await sleep(ms)
  child.kill('SIGKILL')
  await ended
}

/** Everything that lies in `dir` is whole, and an app started on it serves right pages of one of these generations. */
async function check (t: { fail: (message: string) => unknown }, dir: string, generations: readonly number[], settings: ChildSettings): Promise<void> {
  const manifest = await readManifest(dir)
  const buildId = manifest?.buildId ?? settings.isr?.buildId ?? ''
  for (const row of manifest?.pages ?? []) {
    const file = path.join(dir, '.isr', entryFile(buildId, row.key))
    const entry = decode(readFileSync(file), { key: row.key, buildId })
    const body = entry.bodies[0]?.bytes.toString() ?? ''
    const generation = generationOf(row.path.slice(3), body)
    if (!generations.includes(generation)) t.fail(`${row.key} is of generation ${generation}`)
    for (const { encoding, bytes } of entry.bodies.slice(1)) {
      const text = (encoding === 'br' ? zlib.brotliDecompressSync : zlib.gunzipSync)(bytes).toString()
      if (text !== body) t.fail(`${row.key} in ${encoding} is another page`)
    }
    if (row.export !== null && existsSync(path.join(dir, row.export))) generationOf(row.path.slice(3), readFileSync(path.join(dir, row.export), 'utf8'))
  }
  const app = await site(dir, { ...settings, generation: 0 })
  for (let id = 0; id < PAGES; id++) {
    const { statusCode, body, headers } = await app.inject(`/p/${id}`)
    const generation = generationOf(String(id), body)
    const isFromBuild = String(headers['cache-status']).includes('hit')
    if (statusCode !== 200 || (isFromBuild ? !generations.includes(generation) : generation !== 0)) t.fail(`/p/${id}: ${statusCode}, generation ${generation}`)
    if (manifest !== null && !isFromBuild) t.fail(`/p/${id} is in the manifest and was rendered anew`)
  }
  await app.close()
}

for (const [name, more, rounds] of [
  ['a build with a new id', {}, 16],
  ['a build into its own id', { isr: { buildId: 'pinned' } }, 16],
  ['a partial build', { build: { brotli: 1, routes: ['/p/:id'] } }, 8]
] as const) {
  test(`killed in mid-build: ${name}`, { timeout: 100_000, buffered: true }, async t => {
    const dir = t.testdir()
    const settings = { ...SMALL, ...more, build: { ...SMALL.build, ...('build' in more ? { routes: [...more.build.routes] } : {}) } }
    const first = start('build', dir, { ...SMALL, ...('isr' in more ? { isr: more.isr } : {}), generation: 1 })
    await once(first.stdout as NodeJS.ReadableStream, 'data')
    const buildingAt = performance.now()
    await once(first, 'exit')
    const length = performance.now() - buildingAt
    const possible = [1]
    for (let round = 0; round < rounds; round++) {
      const generation = round + 2
      possible.push(generation)
      await killSoon(start('build', dir, { ...settings, generation }), Math.random() * length)
      await check(t, dir, possible, { ...settings, generation })
    }
    const last = start('build', dir, { ...settings, generation: 99 })
    t.same(await once(last, 'exit'), [0, null])
    await check(t, dir, [99], { ...settings, generation: 99 })
  })
}

test('killed while it writes pages back', { timeout: 100_000, buffered: true }, async t => {
  const dir = t.testdir()
  const build = start('build', dir, { ...SMALL, generation: 1 })
  await once(build, 'exit')
  const written = Array.from({ length: 10_000 }, (_, index) => index + 1)
  for (let round = 0; round < 10; round++) {
    await killSoon(start('serve', dir, { ...SMALL, generation: 1 }), 20 + Math.random() * 100)
    await check(t, dir, written, { ...SMALL, generation: 1 })
  }
  t.pass('every entry was whole')
})
