import t from 'tap'
import { keySlot } from '../../lib/cluster/key-slot.js'
import { startRedisCluster } from '../helpers/redis-server.js'

const KEYS = ['', 'foo', '123456789', '{a}b', '{}x', 'ü€{', 'a{b}{c}', '{{x}}', '}{', 'isr:{isr}:epoch', 'isr:build:page:/ä?x={1}']

t.test('slots are those of Redis', async (t) => {
  const { nodes: [node] } = await startRedisCluster(t)
  for (const key of KEYS) t.equal(keySlot(key), await node?.command('cluster', 'keyslot', key), key)
})
