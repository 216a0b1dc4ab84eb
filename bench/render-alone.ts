// A thread of bench/build.ts that renders, and does nothing else.
import { parentPort, workerData } from 'node:worker_threads'
import { work } from './workers-app.js'

const { work: times, pages } = workerData as { work: number, pages: number }
for (let warm = 0; warm < 20; warm++) work(times)
const startedAt = performance.now()
for (let page = 0; page < pages; page++) work(times)
parentPort?.postMessage(performance.now() - startedAt)
