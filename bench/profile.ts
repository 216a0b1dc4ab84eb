// Where a hit's time goes: npm run bench:profile -- [memory-hit] [--seconds 5] [--lines 25] [--out file.cpuprofile]
import { writeFileSync } from 'node:fs'
import type { Profiler, Runtime } from 'node:inspector'
import { parseArgs } from 'node:util'
import { GET, reply, startAutocannon, findWrk } from './load.js'
import { align, describeMachine, formatMachine } from './report.js'
import { startCandidate, verifyCandidate } from './running.js'
import type { Question } from './server.js'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    lines: { type: 'string', default: '25' },
    /** For the flame graph of Chromium's developer tools or speedscope. */
    out: { type: 'string' }
  }
})
const name = positionals[0] ?? 'memory-hit'
const WARM_UP = 2

interface Frame { name: string, where: string, share: number }

/** What the time is spent in itself, without what it calls. */
function framesOf ({ nodes, samples = [], timeDeltas = [] }: Profiler.Profile): Frame[] {
  const byId = new Map(nodes.map(node => [node.id, node.callFrame]))
  const times = new Map<string, number>()
  let total = 0
  for (const [index, id] of samples.entries()) {
    const frame = byId.get(id)
    const time = timeDeltas[index + 1] ?? 0
    if (frame === undefined || frame.functionName === '(idle)') continue
    const key = JSON.stringify([frame.functionName === '' ? '(anonymous)' : frame.functionName, placeOf(frame)])
    times.set(key, (times.get(key) ?? 0) + time)
    total += time
  }
  return [...times].map(([key, time]) => {
    const [name, where] = JSON.parse(key) as [string, string]
    return { name, where, share: time / total }
  }).sort((a, b) => b.share - a.share)
}

function placeOf ({ url, lineNumber }: Runtime.CallFrame): string {
  if (url === '') return 'native'
  if (url.startsWith('node:')) return url
  const own = /\/dist\/(.+)$/.exec(url)
  if (own !== null && !url.includes('/node_modules/')) return `fastify-isr/${own[1] ?? ''}:${lineNumber + 1}`
  return /node_modules\/(?!.*node_modules\/)(.+)$/.exec(url)?.[1] ?? url.split('/').slice(-2).join('/')
}

function groupOf ({ name, where }: Frame): string {
  if (name === '(garbage collector)') return 'garbage collection'
  if (where.startsWith('fastify-isr/')) return 'fastify-isr'
  if (where.startsWith('node:')) return 'Node, in JavaScript'
  return where === 'native' ? 'Node and the system, native' : 'Fastify and others'
}

const candidate = await startCandidate(name)
const generator = await findWrk() ?? startAutocannon()
try {
  await verifyCandidate(candidate)
  const load = { origin: candidate.origin, request: GET, connections: 64 }
  const ask = async <T>(question: Question): Promise<T> => {
    const answered = reply<T>(candidate.process)
    candidate.process.send(question)
    return await answered
  }
  await generator.run({ ...load, seconds: WARM_UP })
  await ask('profile')
  await generator.run({ ...load, seconds: Number(options.seconds) })
  const profile = await ask<Profiler.Profile>('profiled')
  if (options.out !== undefined) writeFileSync(options.out, JSON.stringify(profile))
  const frames = framesOf(profile)
  const groups = new Map<string, number>()
  for (const frame of frames) groups.set(groupOf(frame), (groups.get(groupOf(frame)) ?? 0) + frame.share)
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const own = frames.filter(frame => groupOf(frame) === 'fastify-isr')
  const list = (some: Frame[]): string => align([['self time', 'function', 'where'], ...some.map(({ name, where, share }) => [percent(share), name, where])])
  console.log(`${candidate.title}, ${options.seconds} s of ${generator.name}\n`)
  console.log(align([['self time', 'in'], ...[...groups].sort((a, b) => b[1] - a[1]).map(([group, share]) => [percent(share), group])]))
  console.log(`\n${list(frames.slice(0, Number(options.lines)))}`)
  console.log(`\nof fastify-isr:\n${list(own.slice(0, 15))}\n`)
  console.log(formatMachine(describeMachine()))
} finally {
  await generator.stop()
  await candidate.stop()
}
