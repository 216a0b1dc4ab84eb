import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Test } from 'tap'
import type { AddressInfo } from 'node:net'
import example, { type ExampleOptions } from '../../example-app/app.js'
import { rawGet, type RawAnswer } from './app.js'
import { exampleAssets } from './example-assets.js'

export interface ExampleSite {
  app: FastifyInstance
  /** Raw, so that no client mends the target. */
  raw (target: string, headers?: string[], method?: string): Promise<RawAnswer>
  text (path: string): Promise<string>
}

/** The example, listening. */
export async function startExample (t: Test, options: ExampleOptions = {}): Promise<ExampleSite> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(fp(example), { baseUrl: 'https://example.com', dir: t.testdir(), assets: await exampleAssets(), admin: null, ...options })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const raw: ExampleSite['raw'] = async (target, headers, method) => await rawGet(port, target, headers, method)
  return { app, raw, text: async path => (await raw(path)).body.toString() }
}

/** Values of an attribute, in order. */
export function attributesOf (html: string, pattern: RegExp): string[] {
  return Array.from(html.matchAll(pattern), ([, value = '']) => value)
}
