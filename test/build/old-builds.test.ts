import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { yielding } from '../../lib/build/files.js'
import { BuildFollower } from '../../lib/build/follow.js'
import { GRACE, removeOldBuilds } from '../../lib/build/old-builds.js'
import { Stage } from '../../lib/build/stage.js'
import { buildOnce, eventually, html, open, page, readManifestOf } from '../helpers/site-build.js'

function site (app: FastifyInstance): void {
  page(app, '/', () => html('home'))
  page(app, '/other', () => html('other'))
}

function age (dir: string, name: string, ms: number): void {
  const then = new Date(Date.now() - ms)
  utimesSync(path.join(dir, '.isr', name), then, then)
}

function make (dir: string, name: string, ms: number): void {
  mkdirSync(path.join(dir, '.isr', name, 'aa'), { recursive: true })
  writeFileSync(path.join(dir, '.isr', name, 'aa/file'), 'x')
  age(dir, name, ms)
}

const builds = (dir: string): string[] => readdirSync(path.join(dir, '.isr')).filter(name => !name.startsWith('manifest')).sort()

test('builds that nobody uses go after the grace', async t => {
  const dir = t.testdir()
  const first = (await buildOnce(t, dir, site)).buildId
  const second = (await buildOnce(t, dir, site)).buildId
  t.same(builds(dir), [first, second], 'a server that runs may read the first one still')
  make(dir, 'young', GRACE / 2)
  make(dir, 'dead', GRACE * 2)
  make(dir, 'dead.staging-01234567', GRACE * 2)
  make(dir, 'dead.staging-01234567-export', GRACE * 2)
  make(dir, 'marks', GRACE * 100)
  age(dir, first, GRACE * 2)
  const third = (await buildOnce(t, dir, site)).buildId
  t.same(builds(dir), [third, 'marks', second, 'young'].sort())
})

test('a server keeps alive what it reads, and removes the rest at start', async t => {
  const dir = t.testdir()
  const { buildId } = await buildOnce(t, dir, site)
  for (const name of ['dead', 'dead.staging-0']) make(dir, name, GRACE * 2)
  make(dir, 'marks', GRACE * 100)
  age(dir, buildId, GRACE * 50)
  const { app } = await open(t, dir, site)
  await eventually('they are removed', () => !existsSync(path.join(dir, '.isr/dead')))
  t.same(builds(dir), [buildId, 'marks'].sort())
  // Two builds of another process, long after.
  await buildOnce(t, dir, site)
  await removeOldBuilds(dir, [readManifestOf(dir).buildId])
  t.ok(existsSync(path.join(dir, '.isr', buildId)), 'the server has touched it')
  await app.close()
})

test('a server with an id of its own leaves the last build alone', async t => {
  const dir = t.testdir()
  const { buildId } = await buildOnce(t, dir, site)
  make(dir, 'mine', 0)
  age(dir, buildId, GRACE * 50)
  const follower = new BuildFollower({ dir, onBuild: async build => { await build.rows.close() }, onHead () {}, onError: error => { throw error }, inUse: () => ['mine'] })
  await follower.check()
  t.ok(builds(dir).includes(buildId), 'it is what the next start will serve')
  const restarted = await open(t, dir, site)
  t.match((await restarted.app.inject('/')).headers['cache-status'], /hit/)
})

test('who can\'t read the manifest removes nothing', async t => {
  const dir = t.testdir()
  const { buildId } = await buildOnce(t, dir, site)
  age(dir, buildId, GRACE * 50)
  writeFileSync(path.join(dir, '.isr/manifest.json'), 'torn')
  const follower = new BuildFollower({ dir, onBuild: async build => { await build.rows.close() }, onHead () {}, onError () {}, inUse: () => ['mine'] })
  await follower.check()
  t.same(builds(dir), [buildId])
})

test('a build that takes its time is no dead one', async t => {
  const dir = t.testdir()
  for (const isNewId of [true, false]) {
    const stage = new Stage({ dir, buildId: `slow-${isNewId}`, isNewId, previous: null, urlStyle: 'directory', start: { epoch: 0 }, files: yielding })
    await stage.open()
    const folders = builds(dir)
    t.equal(folders.length, 2)
    for (const name of folders) age(dir, name, GRACE * 2)
    await stage.touch()
    await removeOldBuilds(dir, [])
    t.same(builds(dir), folders)
    await stage.discard()
    t.same(builds(dir), [])
  }
})
