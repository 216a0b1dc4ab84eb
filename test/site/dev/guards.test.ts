// What keeps the live reload away from visitors.
import { readdir, readFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import { DEV_PREFIX } from '../../../lib/site/dev-prefix.js'
import { startDev } from '../../../lib/site/dev/index.js'

// Compiled: what is left of an import there is loaded.
const lib = fileURLToPath(new URL('../../../lib', import.meta.url))

/** Modules that are loaded together with this one. */
function staticImports (text: string): string[] {
  return [...text.matchAll(/^(?:import|export)\b(?:[^'"();]*\bfrom)?\s*['"]([^'"]+)['"]/gm)].map(([, name]) => name as string)
}

t.test('nothing outside of lib/site/dev imports it, other than when it is needed', async t => {
  t.same(staticImports("import { a } from './dev/a.js'\nexport * from './dev/b.js'\nimport {\n  c\n} from './dev/c.js'\nimport './dev/d.js'\nconst e = await import('./dev/e.js')"),
    ['./dev/a.js', './dev/b.js', './dev/c.js', './dev/d.js'], 'imports are seen')

  const files = (await readdir(lib, { recursive: true })).filter(file => file.endsWith('.js') && !file.startsWith(join('site', 'dev', sep)))
  t.ok(files.includes(join('site', 'index.js')))
  for (const file of files) {
    const imports = staticImports(await readFile(join(lib, file), 'utf8'))
    t.same(imports.filter(name => /(?:^|\/)dev\//.test(name)), [], file)
  }
})

t.test('it does not start in production', async t => {
  const before = process.env['NODE_ENV']
  t.teardown(() => {
    if (before === undefined) delete process.env['NODE_ENV']
    else process.env['NODE_ENV'] = before
  })
  process.env['NODE_ENV'] = 'production'
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(startDev(app, { watch: [t.testdir()], onChange: async () => ({ changed: [] }), depsOf: () => null }), { code: 'FST_ISR_ERR_SITE_DEV' })
  t.equal((await app.inject('/__dev/client.js')).statusCode, 404)
  t.equal((await app.inject('/__dev/events')).statusCode, 404)
})

t.test('what it puts into pages can be told by its prefix', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const dev = await startDev(app, { watch: [t.testdir()], onChange: async () => ({ changed: [] }), depsOf: () => null })
  for (const html of [dev.partial, dev.failed('/', { message: '', file: '', frame: '' })]) t.match(html, DEV_PREFIX)
})
