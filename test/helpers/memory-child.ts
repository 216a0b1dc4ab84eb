// Prints how many bytes of heap and buffers a known page costs: node --expose-gc memory-child.js <dir>
import { setTimeout as sleep } from 'node:timers/promises'
import { site } from './site-child.js'

async function used (): Promise<number> {
  for (let times = 0; times < 4; times++) {
    globalThis.gc?.()
    await sleep(50)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const before = await used()
const app = await site(process.argv[2] ?? '', { pages: 0, generation: 0, isr: { prewarm: false } })
while ((app.isr.stats().disk?.entries ?? 0) < 50_000) await sleep(10)
const after = await used()
process.stdout.write(String(Math.round((after - before) / 50_000)))
await app.close()
