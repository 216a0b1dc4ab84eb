import { existsSync } from 'node:fs'
import { startRedis, type RedisServer } from '../../test/helpers/redis-server.js'
import { contend, type Contender } from '../compare.js'
import { SETTING, type RunningCandidate } from '../running.js'
import { addTable, begin, withCandidates, type Context, type Suite, type SuiteResult } from '../suite.js'

const PAGES = [1, 1000, 1_000_000]

/** Runs `work` with a server for each number of known pages, all up at once. */
async function withSites (context: Context, result: SuiteResult, counts: number[], work: (running: RunningCandidate[]) => Promise<void>): Promise<void> {
  const [pages, ...rest] = counts
  if (pages === undefined) return await work([])
  context.log(`pages: a site of ${pages.toLocaleString('en')}`)
  await withCandidates(['known-pages'], context, result, async running => {
    await withSites(context, result, rest, async others => await work([...running, ...others]))
  }, { ...SETTING, pages })
}

function contendWith (candidate: RunningCandidate): Contender {
  const { pages } = candidate.setting
  return contend(candidate, {}, `${pages.toLocaleString('en')} known page${pages === 1 ? '' : 's'}`)
}

async function tryRedis (result: SuiteResult): Promise<RedisServer | null> {
  const program = process.env['REDIS_SERVER_PATH'] ?? '/usr/bin/redis-server'
  if (existsSync(program)) return await startRedis()
  result.missing.push({ name: 'redis-hit', reason: `there is no ${program}: install redis-server or set REDIS_SERVER_PATH` })
  return null
}

export const pages: Suite = async context => {
  const result = begin('pages', context)
  await withSites(context, result, PAGES, async running => {
    const contenders = running.map(contendWith)
    await addTable(result, contenders, context, { name: 'pages', title: 'Known pages, up to 1,000 of them visited in turn', reference: contenders[1]?.name ?? '' })
  })
  const redis = await tryRedis(result)
  try {
    if (redis !== null) process.env['BENCH_REDIS_PORT'] = String(redis.port)
    const names = ['memory-hit', 'tagged-hit', ...redis === null ? [] : ['redis-hit']]
    await withCandidates(names, context, result, async running => {
      await addTable(result, running.map(candidate => contend(candidate)), context, { name: 'ties', title: 'Tags and Redis', reference: 'memory-hit' })
    })
  } finally {
    await redis?.close()
  }
}
