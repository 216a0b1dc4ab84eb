import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { decode } from '../../lib/cache/codec.js'
import type { BuildReport } from '../../lib/index.js'
import { runCommand } from '../helpers/command.js'
import { exportOf, readManifestOf } from '../helpers/site-build.js'
import { appFile, startWorkers } from '../helpers/workers.js'

const ROUTES = ['/page/:id', '/where', '/render', '/outer', '/inner', '/broken']

/** What of a build has to be the same however it was made. */
async function contentOf (dir: string): Promise<Record<string, unknown>> {
  const { buildId, pages } = readManifestOf(dir)
  const entries = pages.map(({ key, file, tags, status, sha256, export: name, ttl, encodings }) => {
    const { meta, bodies } = decode(readFileSync(path.join(dir, file)), { key, buildId })
    return [key, { tags, status, sha256, name, ttl, encodings, headers: meta.headers, bodies: bodies.map(body => body.bytes.toString('base64')) }]
  })
  const files = (await exportOf(dir)).map(file => [file, readFileSync(path.join(dir, file)).toString('base64')])
  return { ...Object.fromEntries(entries), ...Object.fromEntries(files) }
}

t.test('a build in workers is equal to one without', async (t) => {
  const { app } = await startWorkers(t, { render: { workers: 0 } })
  const [here, there] = [t.testdir({ here: {}, there: {} })].flatMap(dir => [path.join(dir, 'here'), path.join(dir, 'there')]) as [string, string]
  const routes = ['/page/:id', '/price/:id/:page']
  const first = await app.isr.prerender({ dir: here, routes, brotli: 5 })
  const second = await app.isr.prerender({ dir: there, routes, brotli: 5, workers: 2 })
  t.ok(first.ok && second.ok)
  t.equal(second.pages.length, 30)
  t.same(await contentOf(there), await contentOf(here))
  const third = await app.isr.prerender({ dir: there, routes: ['/where', '/render'], workers: 1 })
  t.ok(third.ok)
  const { buildId, pages } = readManifestOf(there)
  const row = pages.find(page => page.key === '/render')
  const body = decode(readFileSync(path.join(there, row?.file ?? '')), { key: '/render', buildId }).bodies[0]?.bytes.toString()
  t.match(JSON.parse(body ?? ''), { where: 'worker', render: { reason: 'build' }, warm: true })
})

t.test('a build with many pages in the making warns of nothing', async (t) => {
  const warnings: Error[] = []
  const note = (warning: Error): void => { warnings.push(warning) }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const { app } = await startWorkers(t, { render: { workers: 0 } })
  await app.isr.prerender({ dir: t.testdir(), routes: ['/page/:id'], workers: 3, concurrency: 16 })
  // They are emitted in a later turn.
  await new Promise(setImmediate)
  t.same(warnings, [])
})

t.test('a page that ends its worker is a failed page of the build', async (t) => {
  const { app } = await startWorkers(t, { render: { workers: 0 } })
  const report = await app.isr.prerender({ dir: t.testdir(), routes: ['/page/:id', '/exit'], brotli: 1, workers: 2 })
  t.equal(report.pages.length, 31)
  t.same(report.pages.filter(page => page.outcome === 'failed').map(page => page.key), ['/exit'])
  t.match(report.pages.find(page => page.key === '/exit')?.error, /ended its worker thread/)
})

for (const [how, node, flags] of [
  ['the command', [], ['--import', 'tsx']],
  ['the process', ['--import', 'tsx'], []]
] as const) {
  t.test(`an app in TypeScript, when ${how} has tsx`, async (t) => {
    const cli = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
    const dir = t.testdir({
      'app.ts': `
        import { isMainThread } from 'node:worker_threads'
        import type { FastifyInstance } from 'fastify'
        import isr from ${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)}
        import { nameOf } from './names.js'
        export default async function (app: FastifyInstance): Promise<void> {
          await app.register(isr, { disk: false })
          app.get('/where', { config: { prerender: true } }, async (): Promise<string> => nameOf(isMainThread))
        }`,
      'names.ts': "export const nameOf = (isMain: boolean): string => isMain ? 'main' : 'worker'",
      'package.json': '{ "type": "module" }'
    })
    const out = path.join(dir, 'out')
    const { code, stderr } = await runCommand(process.execPath, [...node, cli, 'prerender', path.join(dir, 'app.ts'), ...flags, '--workers', '1', '--dir', out, '--brotli', '1'], process.cwd())
    t.equal(code, 0, stderr)
    const { buildId, pages } = readManifestOf(out)
    t.equal(decode(readFileSync(path.join(out, pages[0]?.file ?? '')), { key: '/where', buildId }).bodies[0]?.bytes.toString(), 'worker', stderr)
  })
}

t.test('the command knows the app by itself', async (t) => {
  const cli = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))
  const dir = t.testdir()
  const { code, stdout, stderr } = await runCommand(process.execPath, [cli, 'prerender', appFile('workers-app.js'), '--workers', '2', '--dir', dir, ...ROUTES.flatMap(route => ['--route', route]), '--brotli', '1', '--json'], process.cwd())
  t.equal(code, 0, stderr)
  const report = JSON.parse(stdout) as BuildReport
  t.equal(report.pages.length, 35)
  const { buildId, pages } = readManifestOf(dir)
  const row = pages.find(page => page.key === '/where')
  t.equal(decode(readFileSync(path.join(dir, row?.file ?? '')), { key: '/where', buildId }).bodies[0]?.bytes.toString(), 'worker')
  const wrong = await runCommand(process.execPath, [cli, 'prerender', appFile('workers-app.js'), '--workers', 'two'], process.cwd())
  t.equal(wrong.code, 2)
})
