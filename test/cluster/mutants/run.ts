// Runs scenarios with the library beside it and prints what became of each, as one line of JSON.
import { AssertionError } from 'node:assert'
import { startRedis } from '../../helpers/redis-server.js'
import { SCENARIOS } from './scenarios.js'

/** `broken`: it proves nothing, one way or the other. */
export type Result = { outcome: 'holds' } | { outcome: 'refuted' | 'broken', message: string }

async function run (name: string, redis: Awaited<ReturnType<typeof startRedis>>): Promise<Result> {
  const scenario = SCENARIOS[name]
  if (scenario === undefined) return { outcome: 'broken', message: 'there is no such scenario' }
  const teardowns: (() => unknown)[] = []
  try {
    await redis.command('flushall')
    await scenario({ redis, teardown: fn => { teardowns.unshift(fn) } })
    return { outcome: 'holds' }
  } catch (error) {
    return { outcome: error instanceof AssertionError ? 'refuted' : 'broken', message: (error as Error).message }
  } finally {
    for (const fn of teardowns) await fn()
  }
}

if (process.argv[1]?.endsWith('run.js')) {
  const redis = await startRedis()
  const results: Record<string, Result> = {}
  for (const name of process.argv.slice(2)) results[name] = await run(name, redis)
  await redis.close()
  console.log(JSON.stringify(results))
  // Whatever a mutant has left open.
  process.exit()
}
