// A thread of bench/build.ts that does what no build can do without, and nothing else: renders and,
// if a folder is given, compresses, and writes the files of each page where a build would.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, threadId, workerData } from 'node:worker_threads'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { work } from './workers-app.js'

export interface AloneOptions {
  work: number
  pages: number
  /** Null: nothing is written. */
  folder: string | null
  compress: boolean
}

const { work: times, pages, folder, compress } = workerData as AloneOptions

function make (page: number): void {
  const text = work(times)
  if (folder === null) return
  const body = Buffer.from(text)
  const bodies: [ending: string, bytes: Buffer][] = [['', body]]
  if (compress) {
    bodies.push(['.gz', gzipSync(body, { level: 9 })])
    bodies.push(['.br', brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_SIZE_HINT]: body.length } })])
  }
  const name = `${threadId}-${page}`
  // The entry holds them all; the export has a folder per page, and a file for each.
  writeFileSync(join(folder, `${name}.page`), Buffer.concat(bodies.map(([, bytes]) => bytes)))
  mkdirSync(join(folder, name))
  for (const [ending, bytes] of bodies) writeFileSync(join(folder, name, `index.html${ending}`), bytes)
}

for (let warm = 0; warm < 20; warm++) work(times)
const startedAt = performance.now()
for (let page = 0; page < pages; page++) make(page)
parentPort?.postMessage(performance.now() - startedAt)
