// The suite is fetched when it is first needed, not installed as a devDependency: it depends on a
// whole npm of its own, whose `npm` command would replace the one that runs our scripts. What we
// use of it imports nothing but its own files.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const NAME = 'http-cache-tests'
const VERSION = '0.4.5'
const SHA512 = 'DjuwN9nUZXLTW+wav1LRESCZNVxl8SshwOy4z1pxuWbWt5/ay6sM9QQ1lebBaDO6P1IMBoK6mdf+PuVP/QNL8A=='

export interface Test {
  id: string
  name: string
  /** `required` unless it says otherwise; a `check` has no right answer. */
  kind?: 'required' | 'optimal' | 'check'
  /** Tests without which the result of this one means nothing. */
  depends_on?: string[]
  browser_only?: boolean
  /** Log every request and answer of this test. */
  dump?: boolean
}

export interface Category {
  id: string
  name: string
  tests: Test[]
}

/** True, or the kind of failure and what it was. */
export type Result = true | [kind: string, message: string]

type Handler = (path: string[], request: IncomingMessage, response: ServerResponse) => void

export interface Suite {
  version: string
  categories: Category[]
  run (categories: Category[], fetch: typeof globalThis.fetch, baseUrl: string): Promise<Record<string, Result>>
  /** What the suite's own server does, by the first segment of the path. */
  origin: Record<'config' | 'test' | 'state', Handler>
}

/** Loads the suite; asks npm for it the first time. `root` is where node_modules is. */
export async function loadSuite (root: string): Promise<Suite> {
  const folder = join(root, 'node_modules', '.cache', `${NAME}-${VERSION}`)
  if (!existsSync(folder)) await download(root, folder)
  const load = async <Module>(file: string): Promise<Module> => await import(pathToFileURL(join(folder, file)).href) as Module
  const [tests, surrogate, runner, config, test, state] = await Promise.all([
    load<{ default: Category[] }>('tests/index.mjs'),
    load<{ default: Category }>('tests/surrogate-control.mjs'),
    load<{ runTests: (tests: Category[], fetch: unknown, isBrowser: boolean, base: string) => Promise<void>, getResults: () => Record<string, Result> }>('client/runner.mjs'),
    load<{ default: Handler }>('server/handle-config.mjs'),
    load<{ default: Handler }>('server/handle-test.mjs'),
    load<{ default: Handler }>('server/handle-state.mjs')
  ])
  return {
    version: VERSION,
    categories: [...tests.default, surrogate.default],
    async run (categories, fetch, baseUrl) {
      await runner.runTests(categories, fetch, false, baseUrl)
      return runner.getResults()
    },
    origin: { config: config.default, test: test.default, state: state.default }
  }
}

async function download (root: string, folder: string): Promise<void> {
  const run = promisify(execFile)
  const cache = join(root, 'node_modules', '.cache')
  await mkdir(cache, { recursive: true })
  const temporary = await mkdtemp(join(cache, `${NAME}-`))
  try {
    await run('npm', ['pack', `${NAME}@${VERSION}`, '--pack-destination', temporary], { cwd: root })
    const tarball = join(temporary, `${NAME}-${VERSION}.tgz`)
    const hash = createHash('sha512').update(await readFile(tarball)).digest('base64')
    if (hash !== SHA512) throw new Error(`${NAME}@${VERSION} is not the package this was written for: sha512 ${hash}`)
    await run('tar', ['-xzf', tarball, '-C', temporary])
    await rename(join(temporary, 'package'), folder)
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}
