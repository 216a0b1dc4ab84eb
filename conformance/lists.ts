import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Category, Result, Test } from './suite.js'

const PASSING = 'passing.txt'
const NOT_PASSING = 'not-passing.txt'

/** What is known of every test: in which file it stands. */
export interface Lists {
  passing: Set<string>
  /** Id → why. */
  notPassing: Map<string, string>
}

export async function readLists (folder: string): Promise<Lists> {
  const [passing, notPassing] = await Promise.all([linesOf(join(folder, PASSING)), linesOf(join(folder, NOT_PASSING))])
  return {
    passing: new Set(passing),
    notPassing: new Map(notPassing.map((line) => {
      const [, id = line, reason = ''] = /^(\S+?):(.*)$/.exec(line) ?? []
      return [id, reason.trim()]
    }))
  }
}

/** Without comments and empty lines. */
async function linesOf (file: string): Promise<string[]> {
  return (await readFile(file, 'utf8')).split('\n').map(line => line.trim()).filter(line => line !== '' && !line.startsWith('#'))
}

/** Moves what passes now to the list of what passes, in the order of the suite. */
export async function addPassing (folder: string, { passing, notPassing }: Lists, categories: Category[], ids: readonly string[]): Promise<void> {
  const now = new Set([...passing, ...ids])
  await write(folder, PASSING, categories, ({ id }) => now.has(id) ? id : null)
  await write(folder, NOT_PASSING, categories, ({ id }) => ids.includes(id) || !notPassing.has(id) ? null : `${id}: ${notPassing.get(id)}`)
}

async function write (folder: string, name: string, categories: Category[], lineOf: (test: Test) => string | null): Promise<void> {
  const file = join(folder, name)
  const head = (await readFile(file, 'utf8')).split('\n\n', 1)[0] ?? ''
  const parts = categories
    .map(category => ({ category, lines: category.tests.map(lineOf).filter(line => line !== null) }))
    .filter(({ lines }) => lines.length > 0)
    .map(({ category, lines }) => `# ${category.name}\n${lines.join('\n')}\n`)
  await writeFile(file, `${[head + '\n', ...parts].join('\n')}`)
}

/** What a run says of a test. Without its precondition a result means nothing. */
export type Outcome = 'pass' | 'fail' | 'precondition' | 'not run'

export function outcomeOf (test: Test, tests: ReadonlyMap<string, Test>, results: Readonly<Record<string, Result>>): Outcome {
  const result = results[test.id]
  if (result === undefined) return 'not run'
  for (const id of test.depends_on ?? []) {
    const needed = tests.get(id)
    if (needed === undefined || outcomeOf(needed, tests, results) !== 'pass') return 'precondition'
  }
  return result === true ? 'pass' : 'fail'
}

/** What is wrong with the lists themselves. */
export function problemsOf ({ passing, notPassing }: Lists, tests: ReadonlyMap<string, Test>): string[] {
  return [
    ...[...tests.keys()].filter(id => !passing.has(id) && !notPassing.has(id)).map(id => `${id} is in neither list`),
    ...[...passing].filter(id => notPassing.has(id)).map(id => `${id} is in both lists`),
    ...[...passing, ...notPassing.keys()].filter(id => !tests.has(id)).map(id => `${id} is no test of the suite`),
    ...[...notPassing].filter(([, reason]) => reason === '').map(([id]) => `${id} has no reason`)
  ]
}
