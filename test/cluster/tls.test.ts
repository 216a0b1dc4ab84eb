import t from 'tap'
import { startInstance, startOrigin } from '../helpers/cluster-app.js'
import { startRedis } from '../helpers/redis-server.js'
import { share, startThree } from '../helpers/shares.js'

for (const library of ['ioredis', 'ioredis5', 'iovalkey'] as const) {
  t.test(`${library} speaks TLS to Redis as the template does`, async t => {
    const redis = await startRedis(t, { tls: true })
    const origin = await startOrigin(t)
    const options = { host: redis.host, port: redis.port, lazyConnect: true }
    const instances = await startThree(t, { origin, client: { library, options: { ...options, tls: { ca: redis.ca as string } } } })
    await share(t, origin, instances)
    await Promise.all(instances.map(instance => instance.close()))

    const stranger = await startInstance(t, { origin, client: { library, options: { ...options, tls: {} } } })
    t.match(await stranger.health(), { redis: 'degraded' }, 'a certificate that nobody trusts')
    t.equal((await stranger.get('/page/1')).status, 200)
    t.match(await stranger.purge({ all: true }), { epoch: null, degraded: true })
    await stranger.close()
  })
}
