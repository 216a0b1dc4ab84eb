// npm run conformance -- [--update] [--only <id>]
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createAdapter } from './adapter.js'
import { addPassing, outcomeOf, problemsOf, readLists, type Outcome } from './lists.js'
import { createOrigin } from './origin.js'
import { loadSuite, type Category, type Result, type Test } from './suite.js'

const REQUEST_TIMEOUT = 15_000
const TIMEOUT = 180_000

// From .build/conformance, where the compiled command runs.
const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'conformance')

const { values: options } = parseArgs({
  options: {
    update: { type: 'boolean', default: false },
    only: { type: 'string' }
  }
})

/** As the suite's own client would: nothing added for `cache`, and an end to waiting. */
const request: typeof fetch = async (url, { cache: _cache, ...init } = {}) =>
  await fetch(url, { ...init, signal: AbortSignal.timeout(REQUEST_TIMEOUT) })

const suite = await loadSuite(root)
const tests = new Map(suite.categories.flatMap(category => category.tests.map(test => [test.id, test])))

if (options.only !== undefined) {
  const test = tests.get(options.only)
  if (test === undefined) {
    console.error(`there is no test ${options.only}`)
    process.exit(2)
  }
  test.dump = true
  const results = await run([{ id: '', name: '', tests: [test] }])
  console.log(`${test.name}\n${describe(results[test.id])}`)
} else {
  process.exitCode = await compare(await run(suite.categories))
}

async function run (categories: Category[]): Promise<Record<string, Result>> {
  const tooLong = setTimeout(() => {
    console.error(`the suite did not end within ${TIMEOUT / 1000} s`)
    process.exit(1)
  }, TIMEOUT)
  const origin = createOrigin(suite)
  await new Promise<void>(resolve => { origin.listen(0, '127.0.0.1', resolve) })
  const adapter = await createAdapter(`http://127.0.0.1:${(origin.address() as AddressInfo).port}`)
  const baseUrl = await adapter.listen({ port: 0, host: '127.0.0.1' })
  try {
    return await suite.run(categories, request, baseUrl)
  } finally {
    await adapter.close()
    origin.closeAllConnections()
    origin.close()
    clearTimeout(tooLong)
  }
}

async function compare (results: Record<string, Result>): Promise<0 | 1> {
  const lists = await readLists(folder)
  const outcomes = new Map([...tests.values()].map(test => [test.id, outcomeOf(test, tests, results)]))
  printTotals(outcomes)

  const lost = [...lists.passing].filter(id => tests.has(id) && outcomes.get(id) !== 'pass')
  const gained = [...tests.keys()].filter(id => outcomes.get(id) === 'pass' && !lists.passing.has(id))
  for (const id of lost) console.error(`NO LONGER PASSES  ${id}: ${describe(results[id])}\n  ${tests.get(id)?.name}`)
  for (const id of gained) console.log(`passes now        ${id}`)
  if (gained.length > 0 && options.update) await addPassing(folder, lists, suite.categories, gained)
  else if (gained.length > 0) console.log('add what passes now to the list: npm run conformance -- --update')

  const problems = problemsOf(options.update ? await readLists(folder) : lists, tests)
  for (const problem of problems) {
    const id = problem.split(' ', 1)[0] ?? ''
    console.error(`${problem} (it says: ${describe(results[id])})`)
  }
  return lost.length > 0 || problems.length > 0 ? 1 : 0
}

function printTotals (outcomes: ReadonlyMap<string, Outcome>): void {
  const rows = suite.categories.map(({ name, tests }) => rowOf(name, tests, outcomes))
  rows.push(rowOf(`http-cache-tests ${suite.version}`, [...tests.values()], outcomes))
  console.table(Object.fromEntries(rows.map(({ name, ...row }) => [name, row])))
}

/** Passed of all, by what the suite makes of a test. */
function rowOf (name: string, tests: Test[], outcomes: ReadonlyMap<string, Outcome>): Record<string, string | number> {
  const cell = (kind: Test['kind']): string => {
    const ofKind = tests.filter(test => (test.kind ?? 'required') === kind)
    return ofKind.length === 0 ? '' : `${ofKind.filter(({ id }) => outcomes.get(id) === 'pass').length} / ${ofKind.length}`
  }
  const passed = tests.filter(({ id }) => outcomes.get(id) === 'pass').length
  return { name, passed, 'not passed': tests.length - passed, required: cell('required'), optimal: cell('optimal'), check: cell('check') }
}

function describe (result: Result | undefined): string {
  if (result === undefined) return 'not run'
  return result === true ? 'passed' : result.join(': ')
}
