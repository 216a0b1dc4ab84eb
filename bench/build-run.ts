// One build of bench/build.ts, in a process of its own, as the command line makes it.
import fastify from 'fastify'
import { fileURLToPath } from 'node:url'
import { declareBuild } from '../lib/build/mode.js'
import workersApp from './workers-app.js'

const { workers, compress, concurrency } = JSON.parse(process.argv[2] ?? '') as { workers: number, compress: boolean, concurrency?: number }
declareBuild({
  file: fileURLToPath(new URL('./workers-app.js', import.meta.url)),
  useOptions: false,
  require: [],
  import: [],
  prefix: undefined,
  pluginTimeout: undefined,
  logLevel: undefined,
  appOptions: {}
})
const app = fastify()
await workersApp(app)
await app.ready()
const startedAt = performance.now()
const before = process.cpuUsage()
const report = await app.isr.prerender({ workers, force: true, ...compress ? { brotli: 5 } : { compress: false }, ...concurrency !== undefined && { concurrency } })
const milliseconds = performance.now() - startedAt
const { user, system } = process.cpuUsage(before)
// Before the report is looked at: its rows are packed until then.
const rss = process.resourceUsage().maxRSS / 1024
process.send?.({ ok: report.ok, pages: report.pages.length, milliseconds, cpu: (user + system) / 1000, rss })
await app.close()
process.disconnect()
