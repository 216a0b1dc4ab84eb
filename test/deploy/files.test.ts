// What the files for an engine and for GitHub say, as far as it can be told without either.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { compose, mebibytes, readYaml, type Service } from './compose.js'
import { dockerfile, root } from './image.js'

interface Step { uses?: string, run?: string, with?: Record<string, unknown> }

interface Job {
  uses?: string
  needs?: string
  permissions?: Record<string, string>
  container?: { image: string }
  strategy?: { matrix: { node: number[] } }
  steps?: Step[]
  'timeout-minutes'?: number
}

interface Workflow {
  on: Record<string, { branches?: string[] } | null>
  permissions?: Record<string, string>
  concurrency?: { group: string }
  jobs: Record<string, Job>
}

const read = async (file: string): Promise<string> => await readFile(join(root, file), 'utf8')
const { services: byName, volumes } = await compose()
const services = Object.entries(byName)
const ci = await readYaml<Workflow>('.github/workflows/ci.yml')
const image = await readYaml<Workflow>('.github/workflows/image.yml')

test('native tools and the steps of a build are in the first stage alone, which leaves one folder behind', async t => {
  const [build = [], last = [], ...others] = dockerfile.stages
  t.same(others, [])
  t.match(build.filter(({ name }) => name === 'RUN').at(-1)?.text, /node example-app\/deploy\/build\.mjs \/shipped$/)
  t.same(last.filter(({ name }) => name === 'COPY').map(({ text }) => text), ['--from=build /shipped/app ./'])
  const runs = last.filter(({ name }) => name === 'RUN').map(({ text }) => text)
  for (const run of runs) t.notMatch(run, /npm|npx|apt|build/)
  const froms = dockerfile.stages.map(stage => stage[0]?.text)
  t.match(froms, [/^node:\$\{NODE_VERSION\}-slim AS build$/, /^node:\$\{NODE_VERSION\}-slim$/])
})

test('the image is not run by root, and its probe starts no node', async t => {
  t.equal(dockerfile.user, 'node')
  const [program, flag] = dockerfile.healthcheck
  t.equal(program, 'bash')
  t.equal(flag, '-c')
  t.notMatch(dockerfile.healthcheck.join(' '), /node|curl|wget/, 'and nothing that the image has not')
  t.match(dockerfile.healthcheck[2], '/health')
  t.equal(dockerfile.command[0], 'node', 'no shell and no npm stand before it, so that it gets the signals')
})

test('nothing secret can get into an image: what it is built from is listed', async t => {
  const lines = (await read('.dockerignore')).split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.equal(lines[0], '*')
  t.ok(lines.includes('**/.env*') && lines.includes('**/node_modules'))
  t.ok(lines.indexOf('**/.env*') > lines.indexOf('!example-app'), 'the last line that fits decides')
  t.match(await read('.gitignore'), /^\.env$/m)
})

test('every service has a limit, and all of them together leave 512 MB enough for the system', async t => {
  for (const [name, { mem_limit: limit }] of services) t.ok(mebibytes(limit) > 0, name)
  const total = services.reduce((sum, [, { mem_limit: limit }]) => sum + mebibytes(limit), 0)
  t.ok(total <= 352, `${total} MiB`)
  const [, heap] = /--max-old-space-size=(\d+)/.exec(dockerfile.command.join(' ')) ?? []
  t.ok(Number(heap) < mebibytes(byName['app']?.mem_limit) * 0.6, 'of the limit of the app, its heap is not all: pages are kept outside of it')
  const redis = byName['redis']?.command ?? []
  t.ok(mebibytes(redis[redis.indexOf('--maxmemory') + 1]) <= mebibytes(byName['redis']?.mem_limit) / 2)
  t.equal(redis[redis.indexOf('--maxmemory-policy') + 1], 'volatile-lru')
})

test('every service is confined: nothing to write but a volume, no rights to gain, logs that end', async t => {
  for (const [name, service] of services) {
    t.equal(service.read_only, true, name)
    t.same(service.cap_drop, ['ALL'], name)
    t.same(service.security_opt, ['no-new-privileges:true'], name)
    t.ok(service.logging?.options['max-size'] !== undefined && service.logging.options['max-file'] !== undefined, name)
    t.equal(service.restart, 'unless-stopped', name)
  }
})

test('the app keeps what it renders in a volume at the place that the image names, and is given no secret by the file', async t => {
  const app = byName['app'] as Service
  t.same(app.volumes, [`cache:${dockerfile.env['PAGES_DIR']}`])
  t.ok('cache' in volumes)
  for (const name of ['ADMIN_USER', 'ADMIN_PASSWORD']) t.match(app.environment?.[name], new RegExp(`^\\$\\{${name}:\\?`))
  t.match(app.ports?.[0], /127\.0\.0\.1:3000\}:3000$/, 'published for this machine only, unless somebody says so')
})

test('only who asks for the updater gets it, in a release that is pinned', async t => {
  const updater = byName['updater'] as Service
  t.same(updater.profiles, ['updater'])
  t.match(updater.image, /:\d+\.\d+\.\d+$/)
  for (const [name, { profiles }] of services) if (name !== 'updater') t.equal(profiles, undefined, name)
})

test('the tests run on each Node that is supported, as they do on a bare machine', async t => {
  const { test } = ci.jobs as { test: Job }
  t.same(test.strategy?.matrix.node, [20, 22, 24, 26])
  t.equal(test.steps?.at(-1)?.run, '.ci/run')
  t.ok('pull_request' in ci.on && 'workflow_call' in ci.on)
})

test('an image is pushed from main alone, when the tests have passed and it has been started', async t => {
  t.same(Object.keys(image.on), ['push', 'workflow_dispatch'])
  t.same(image.on['push']?.branches, ['main'])
  t.equal(image.jobs['test']?.uses, './.github/workflows/ci.yml')
  t.equal(image.jobs['image']?.needs, 'test')
  const steps = image.jobs['image']?.steps ?? []
  const pushing = steps.findIndex(step => step.with?.['push'] === true)
  const starting = steps.findIndex(step => step.run?.includes('docker compose') === true)
  const logging = steps.findIndex(step => step.uses?.startsWith('docker/login-action') === true)
  t.ok(starting !== -1 && starting < logging && logging < pushing)
  t.match(steps[pushing]?.with, { file: 'example-app/Dockerfile', provenance: 'mode=max' })
})

test('workflows may do no more than they have to, and their actions are pinned', async t => {
  for (const [name, workflow] of Object.entries({ ci, image })) {
    t.same(workflow.permissions, { contents: 'read' }, name)
    t.type(workflow.concurrency?.group, 'string', name)
    for (const job of Object.values(workflow.jobs)) {
      t.ok(job.uses !== undefined || Number(job['timeout-minutes']) > 0, 'nothing runs for ever')
      for (const { uses, with: inputs } of job.steps ?? []) {
        if (uses === undefined) continue
        t.match(uses, /^(actions|docker)\/[\w-]+@v\d+$/)
        if (uses.startsWith('actions/checkout')) t.equal(inputs?.['persist-credentials'], false)
      }
    }
  }
  t.same(image.jobs['image']?.permissions, { contents: 'read', packages: 'write' })
  t.not(ci.concurrency?.group, image.concurrency?.group, 'one calls the other: in one group they would wait for each other')
})
