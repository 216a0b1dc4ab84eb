// One instance of the benchmark of the cluster, in a process of its own.
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fastify from 'fastify'
import isr from 'fastify-isr'
import { Redis } from 'ioredis'

export interface InstanceSettings {
  redisPort: number
  /** Milliseconds. */
  heartbeat: number
  renderMs: number
  /** Null: no pages on disk. */
  dir: string | null
}

export type Question = { type: 'purge' | 'revalidate', path: string } | { type: 'commands' }

/** Milliseconds of a clock that all processes of a machine share. */
export interface Times {
  calledAt: number
  resolvedAt: number
}

export function monotonic (): number {
  return Number(process.hrtime.bigint()) / 1e6
}

async function serve ({ redisPort, heartbeat, renderMs, dir }: InstanceSettings): Promise<void> {
  const client = new Redis({ host: '127.0.0.1', port: redisPort, lazyConnect: true })
  const app = fastify()
  await app.register(isr, { buildId: 'bench', ...(dir === null ? { disk: false } : { dir }), redis: { client, heartbeat } })
  let renders = 0
  for (const [url, ttl] of [['/page/:id', Infinity], ['/short/:id', 1]] as const) {
    app.get(url, { config: { prerender: { onDemand: true, ttl } } }, async (request, reply) => {
      if (renderMs > 0) await sleep(renderMs)
      return reply.type('text/html; charset=utf-8').send(`${process.pid}-${++renders}`)
    })
  }
  await app.listen({ host: '127.0.0.1', port: 0 })

  process.on('message', async (question: Question) => {
    if (question.type === 'commands') {
      process.send?.(app.isr.stats().redis?.commands ?? 0)
      return
    }
    const calledAt = monotonic()
    await app.isr[question.type]({ path: question.path })
    process.send?.({ calledAt, resolvedAt: monotonic() } satisfies Times)
  })
  process.on('disconnect', () => { app.close().then(() => { client.disconnect() }) })
  process.send?.({ port: (app.server.address() as AddressInfo).port })
}

const [, , settings] = process.argv
if (settings?.startsWith('{') === true) await serve(JSON.parse(settings) as InstanceSettings)
