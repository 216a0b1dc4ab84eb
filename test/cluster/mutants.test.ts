// The tests of the cluster can tell a right library from wrong ones: each mutant differs in one
// place, and a scenario that holds with the library is refuted with the mutant.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { MUTANTS, type Mutant } from './mutants/list.js'
import type { Result } from './mutants/run.js'
import { SCENARIOS } from './mutants/scenarios.js'

const BUILT = fileURLToPath(new URL('../..', import.meta.url))
/** What a scenario needs, besides packages. */
const PARTS = ['lib', 'test/helpers', 'test/cluster/mutants']

/** Runs scenarios with the library below `root`. */
async function run (root: string, scenarios: readonly string[]): Promise<Record<string, Result>> {
  const { stdout } = await promisify(execFile)('env', ['-u', 'NODE_OPTIONS', process.execPath, path.join(root, 'test/cluster/mutants/run.js'), ...scenarios])
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, Result>
}

/** A copy of the library with the change; throws when there is no such place, or another one like it. */
async function mutate (root: string, { file, snippet, replacement }: Mutant): Promise<void> {
  for (const part of PARTS) await cp(path.join(BUILT, part), path.join(root, part), { recursive: true, filter: name => !name.endsWith('.map') })
  const name = path.join(root, 'lib', file)
  const text = await readFile(name, 'utf8')
  const found = text.split(snippet).length - 1
  if (found !== 1) throw new Error(`lib/${file} has ${found} places like ${JSON.stringify(snippet)}: the mutant must be written anew`)
  await writeFile(name, text.replace(snippet, () => replacement))
}

t.test('every scenario holds with the library', async t => {
  const results = await run(BUILT, Object.keys(SCENARIOS))
  for (const [name, result] of Object.entries(results)) t.same(result, { outcome: 'holds' }, name)
  t.same(new Set(MUTANTS.map(({ scenario }) => scenario)), new Set(Object.keys(SCENARIOS)), 'each refutes a mutant')
})

t.test('every mutant is found out', { jobs: 2 }, async t => {
  // Where packages are found.
  await mkdir(path.join(BUILT, 'mutants'), { recursive: true })
  for (const mutant of MUTANTS) {
    t.test(mutant.name, async t => {
      const root = await mkdtemp(path.join(BUILT, 'mutants', 'm-'))
      t.teardown(() => rm(root, { recursive: true, force: true }))
      await mutate(root, mutant)
      const { [mutant.scenario]: result } = await run(root, [mutant.scenario])
      t.equal(result?.outcome, 'refuted', result !== undefined && 'message' in result ? result.message.split('\n')[0] ?? '' : '')
    })
  }
})
