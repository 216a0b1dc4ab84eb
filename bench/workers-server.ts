// A server of bench/workers.ts: answers hits, and renders so many new pages a second as it is told.
import type { AddressInfo } from 'node:net'
import fastify from 'fastify'
import type { Listening } from './server.js'
import workersApp from './workers-app.js'

const app = fastify()
await app.register(workersApp)
await app.listen({ host: '127.0.0.1', port: 0 })

let next = 0
const render = async (): Promise<string> => (await app.inject(`/work/${++next}`)).body
// Whatever has to be loaded is loaded, and hot.
for (let i = 0; i < 20; i++) await render()

let timer: NodeJS.Timeout | undefined
let rendered = 0
process.on('message', (perSecond: number) => {
  clearInterval(timer)
  process.send?.(rendered)
  rendered = 0
  if (perSecond > 0) timer = setInterval(() => { render().then(() => { rendered++ }, () => {}) }, 1000 / perSecond)
})
process.on('disconnect', () => { process.exit() })
process.send?.({ port: (app.server.address() as AddressInfo).port } satisfies Listening)
