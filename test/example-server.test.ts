import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { killed, spawnGuarded } from './helpers/guarded.js'
import { startRedis } from './helpers/redis-server.js'
import { eventually } from './helpers/site-build.js'

const server = fileURLToPath(new URL('../example-app/server.js', import.meta.url))

/** `npm run example` without its builds. */
async function start (t: Test, env: Record<string, string> = {}) {
  const pages = mkdtempSync(path.join(tmpdir(), 'fastify-isr-pages-'))
  t.teardown(() => { rmSync(pages, { recursive: true, force: true }) })
  const variables = Object.entries({ PORT: '0', PAGES_DIR: pages, ...env }).map(([name, value]) => `${name}=${value}`)
  const unset = ['NODE_OPTIONS', 'NODE_ENV', 'HOST', 'BASE_URL', 'REDIS_URL', 'ADMIN_USER', 'ADMIN_PASSWORD'].flatMap(name => ['-u', name])
  const child = spawnGuarded('env', [...unset, ...variables, process.execPath, server], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => killed(child))
  const exited = once(child, 'close').then(([code]) => code as number | null)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => { output += String(chunk) })
  const waitFor = (text: string) => eventually(`${text} in ${output}`, () => output.includes(text), 60_000)
  await waitFor('Ctrl-C to stop')
  const url = /http:\/\/[\d.]+:\d+/.exec(output)?.[0] ?? ''
  return { url, exited, waitFor, output: () => output, stop: (signal: NodeJS.Signals) => { child.kill(signal) } }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`the server goes by its environment, and on ${signal} answers who is there before it ends`, async t => {
    const { url, exited, waitFor, output, stop } = await start(t, { HOST: '127.0.0.2', BASE_URL: 'https://example.com', LOG_LEVEL: 'info' })
    t.match(url, 'http://127.0.0.2:')
    t.match(await (await fetch(`${url}/robots.txt`)).text(), 'https://example.com/sitemap.xml')

    // Its settings take their source 200 ms.
    const answer = fetch(`${url}/tenants/harbour`)
    await waitFor('"url":"/tenants/harbour"')
    stop(signal)
    t.match(await (await answer).text(), '</html>', 'whole')
    t.equal(await exited, 0)
    t.notMatch(output(), '"level":60')
  })
}

t.test('instances with one Redis share their pages, each with a folder of its own', async t => {
  const redis = await startRedis(t)
  const env = { REDIS_URL: redis.socket, BUILD_ID: 'test' }
  const first = await start(t, env)
  await (await fetch(`${first.url}/robots.txt`)).text()
  await eventually('the page is in Redis', async () => ((await redis.command('KEYS', '*:page:*')) as unknown[]).length > 0)
  const second = await start(t, env)
  const { headers } = await fetch(`${second.url}/robots.txt`)
  t.match(headers.get('cache-status'), /^fastify-isr; hit/)
  const { redis: state } = await (await fetch(`${second.url}/ready`)).json() as { redis: string }
  t.equal(state, 'connected')
  for (const { exited, stop } of [first, second]) {
    stop('SIGTERM')
    t.equal(await exited, 0)
  }
})
