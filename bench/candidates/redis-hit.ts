import { Redis } from 'ioredis'
import type { Candidate } from '../candidate.js'
import { createPrerenderedApp } from '../prerendered-app.js'

/** The page in memory, of an instance that shares its pages over Redis. Where that listens is in `BENCH_REDIS_PORT`. */
const redisHit: Candidate = {
  title: 'memory hit, Redis connected',
  async createApp () {
    const client = new Redis({ host: '127.0.0.1', port: Number(process.env['BENCH_REDIS_PORT']), lazyConnect: true })
    return await createPrerenderedApp({ buildId: 'bench', redis: { client } })
  },
  cacheStatus: 'fastify-isr; hit'
}

export default redisHit
