import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'

// From .build/test, where the compiled test runs.
const root = new URL('../../', import.meta.url)
const pages = ['README.md', ...(await readdir(fileURLToPath(new URL('docs/', root)))).filter(name => name.endsWith('.md')).map(name => `docs/${name}`)]

t.test('each app of the documentation takes two parameters: fastify-cli refuses an async function with one', async (t) => {
  let apps = 0
  for (const page of pages) {
    const text = await readFile(new URL(page, root), 'utf8')
    for (const [, parameters = ''] of text.matchAll(/^export default async function \((.*?)\)/gm)) {
      apps++
      t.equal(parameters.split(',').length, 2, `${page}: (${parameters})`)
    }
  }
  t.ok(apps >= 4, 'there are some')
})
