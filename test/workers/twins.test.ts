import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { TestClock } from '../helpers/engine.js'
import twinApp, { urls } from '../helpers/twin-app.js'

interface Site {
  readonly app: FastifyInstance
  readonly warnings: string[]
}

async function start (t: { teardown (fn: () => unknown): void }, workers: number): Promise<Site> {
  const clock = new TestClock()
  const warnings: string[] = []
  const logger = { level: 'warn', stream: { write: (line: string) => { warnings.push((JSON.parse(line) as { msg: string }).msg) } } }
  const root: FastifyInstance = Fastify({ logger })
  t.teardown(() => root.close())
  let app: FastifyInstance = root
  await root.register(async (instance) => {
    await twinApp(instance, { isr: { clock: clock.read, render: { workers, timeout: 60_000 } } })
    app = instance
  })
  await root.ready()
  return { app, warnings }
}

/** What visitors get, and what is kept of it. */
async function lookAt ({ app, warnings }: Site, url: string): Promise<Record<string, unknown>> {
  const said = warnings.length
  const answers = []
  for (let visit = 0; visit < 2; visit++) {
    const { statusCode, headers: { date, ...headers }, rawPayload } = await app.inject(url)
    answers.push({ statusCode, headers: Object.fromEntries(Object.entries(headers).sort()), body: rawPayload.toString('latin1') })
  }
  const { reasons, ...inspection } = await app.isr.inspect(url)
  return { answers, inspection, warnings: warnings.slice(said) }
}

t.test('a page rendered in a worker thread is what it is in the main thread', async (t) => {
  const [here, there] = [await start(t, 0), await start(t, 1)]
  for (const url of urls) t.same(await lookAt(there, url), await lookAt(here, url), url)
})
