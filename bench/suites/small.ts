import { fork, type ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { contend } from '../compare.js'
import { cores, forkOptions } from '../cores.js'
import { reply } from '../load.js'
import { measure } from '../measure.js'
import { limitMemory } from '../memory-limit.js'
import { peakMemory } from '../proc.js'
import { summarise, type Measured } from '../report.js'
import { endChild, SETTING, type RunningCandidate } from '../running.js'
import type { Listening } from '../server.js'
import type { Rebuilt } from '../small-server.js'
import { begin, type Suite } from '../suite.js'

const MIB = 2 ** 20
const LIMIT = 512 * MIB
/** MiB: leaves room for buffers and code below the limit. */
const HEAP = 320
const CONNECTIONS = 100

async function start (): Promise<{ child: ChildProcess, running: RunningCandidate, isLimited: boolean }> {
  const limit = limitMemory(LIMIT)
  const child = fork(fileURLToPath(new URL('../small-server.js', import.meta.url)), [], {
    ...forkOptions('server', [`--max-old-space-size=${HEAP}`]),
    env: { ...process.env, NODE_ENV: 'production' }
  })
  if (child.pid !== undefined) limit?.add(child.pid)
  const { port } = await reply<Listening>(child).catch((error: unknown) => {
    limit?.remove()
    throw error
  })
  const running = {
    name: 'example',
    title: 'the example app',
    origin: `http://127.0.0.1:${port}`,
    paths: ['/'],
    setting: SETTING,
    process: child,
    version: null,
    async stop () {
      await endChild(child)
      limit?.remove()
    }
  }
  return { child, running, isLimited: limit !== null }
}

async function rebuild (child: ChildProcess, afterSeconds: number): Promise<Rebuilt> {
  await sleep(afterSeconds * 1000)
  child.send('build')
  return await reply<Rebuilt>(child)
}

/** One core, 512 MiB, 100 connections: the home page and a post, each with a build in between. */
export const small: Suite = async context => {
  const result = begin('small', context)
  const { options: { small: seconds, patience }, fastest, log } = context
  const { child, running, isLimited } = await start()
  const measured: Measured[] = []
  const builds: Rebuilt[] = []
  try {
    const pages = { home: '/', post: '/guides/when-not-to-use-it' }
    for (const [name, path] of Object.entries(pages)) {
      const { request, title } = contend(running, { paths: [path] }, name)
      await measure(running, { seconds: 1, connections: CONNECTIONS, generator: fastest }, request)
      const building = rebuild(child, seconds / 3)
      const sample = await measure(running, { seconds, connections: CONNECTIONS, generator: fastest, patience }, request)
      builds.push(await building)
      measured.push({ name, title, rounds: [sample] })
      log(`small: ${path}`)
    }
    const peak = peakMemory(child.pid ?? 0)
    result.facts['peak'] = peak / MIB
    result.tables.push({
      name: 'small',
      title: `The example app on one core (${fastest.name}, ${seconds} s each, ${CONNECTIONS} connections)`,
      reference: 'reference',
      rows: summarise(measured, ''),
      measured
    })
    const limit = isLimited ? '512 MiB by a control group' : 'no limit by a control group, which this user may not set,'
    result.texts.push(`Peak resident memory ${(peak / MIB).toFixed(0)} MiB; ${limit} and --max-old-space-size=${HEAP}; ` +
      `${cores === null ? 'not pinned to a core' : 'pinned to one core'}; no error, no restart; ` +
      `built meanwhile: ${builds.map(({ pages, milliseconds }) => `${pages} pages in ${(milliseconds / 1000).toFixed(1)} s`).join(', ')}`)
  } finally {
    await running.stop()
  }
}
