import type { Test } from 'tap'
import { startInstances, type ClusterOrigin, type Instance, type InstanceOptions } from './cluster-app.js'
import { eventually } from './site-build.js'

/** Milliseconds. Generous: only what will never be so is given up. */
const DEADLINE = 30_000

/** Resolves when all are connected and have caught up. */
export async function connected (instances: readonly Instance[]): Promise<void> {
  await eventually('all instances are connected', async () => {
    const healths = await Promise.all(instances.map(instance => instance.health()))
    return healths.every(({ redis, lag }) => redis === 'connected' && lag === 0)
  }, DEADLINE)
}

/** Three instances that are connected. */
export async function startThree (t: Test, options: Omit<InstanceOptions, 'name'>): Promise<Instance[]> {
  const { redis = {}, ...more } = options
  const instances = await startInstances(t, 3, { ...more, redis: { heartbeat: 200, commandTimeout: 2000, ...redis } })
  await connected(instances)
  return instances
}

/** They render a page once for all, and an order given to one reaches all. */
export async function share (t: Test, origin: ClusterOrigin, instances: readonly Instance[], id = '1'): Promise<void> {
  const path = `/page/${id}`
  const before = origin.rendersOf(id)
  const cold = await Promise.all([...instances, ...instances].map(instance => instance.get(path)))
  t.same(new Set(cold.map(({ status }) => status)), new Set([200]))
  t.equal(new Set(cold.map(({ body }) => body)).size, 1, 'all get the same page')
  t.equal(origin.rendersOf(id), before + 1, 'it is rendered once')

  const version = origin.bump()
  t.match(await instances[0]?.purge({ path }), { degraded: false })
  await eventually('no instance has the old page', async () => {
    const answers = await Promise.all(instances.map(instance => instance.get(path)))
    return answers.every(({ page }) => page?.version === version)
  }, DEADLINE)
  t.equal(origin.rendersOf(id), before + 2, 'the new one is rendered once')
}
