// The server process of one candidate: serves until its parent goes, and tells it the CPU time
// it has used whenever it asks.
import type { AddressInfo } from 'node:net'
import type { Candidate } from './candidate.js'

export interface Listening {
  port: number
}

const { default: candidate } = await import(process.argv[2] ?? '') as { default: Candidate }
const app = await candidate.createApp()
await app.listen({ host: '127.0.0.1', port: 0 })

process.on('message', () => process.send?.(process.cpuUsage()))
process.on('disconnect', () => { app.close() })
process.send?.({ port: (app.server.address() as AddressInfo).port } satisfies Listening)
