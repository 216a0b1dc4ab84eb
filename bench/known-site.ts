// An app that knows many pages. The most visited ones are really there; of the others only the
// manifest of the build tells, as building a million pages would take longer than all the rest.
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fastify, { type FastifyInstance } from 'fastify'
import isr, { type Manifest, type ManifestPage } from 'fastify-isr'
import type { Setting } from './candidate.js'
import { productsOf, renderPage } from './page.js'

/** Pages that are there, and visited in turn. */
const VISITED = 1000
/** Milliseconds until a million pages are known, on a machine that is busy. */
const LONGEST = 120_000

function idOf (nth: number): string {
  return `an-article-of-the-site-${String(nth).padStart(7, '0')}`
}

export function visited ({ pages }: Pick<Setting, 'pages'>): string[] {
  return Array.from({ length: Math.min(VISITED, pages) }, (_, nth) => `/articles/${idOf(nth)}`)
}

async function open (dir: string, { kilobytes, pages }: Setting): Promise<FastifyInstance> {
  const products = productsOf(kilobytes)
  // Versions that read the whole manifest before they are ready take long for a million pages.
  const app = fastify({ pluginTimeout: 0 })
  await app.register(isr, { dir, prewarm: false })
  app.get('/articles/:id', {
    config: { prerender: pages === 0 ? { onDemand: false } : { paths: visited({ pages }) } }
  }, async (request, reply) => reply.type('text/html; charset=utf-8').send(renderPage(products)))
  await app.ready()
  return app
}

function rowOf (first: ManifestPage, buildId: string, nth: number): ManifestPage {
  const key = `/articles/${idOf(nth)}`
  const name = createHash('sha256').update(key).digest('hex')
  return { ...first, key, path: key, file: `.isr/${buildId}/${name.slice(0, 2)}/${name}`, export: `articles/${idOf(nth)}/index.html` }
}

/** Adds rows of pages that are not there, a line each as in every build: others of this size are not read. */
export async function lengthen (dir: string, from: number, to: number): Promise<void> {
  const file = join(dir, '.isr/manifest.json')
  const { pages, ...head } = JSON.parse(await readFile(file, 'utf8')) as Manifest
  const [first] = pages
  if (first === undefined) throw new Error('nothing was built')
  const out = createWriteStream(`${file}.new`)
  out.write(`${JSON.stringify(head, null, 2).slice(0, -2)},\n  "pages": [\n${pages.map(page => `    ${JSON.stringify(page)}`).join(',\n')}`)
  for (let nth = from; nth < to; nth++) {
    if (!out.write(`,\n    ${JSON.stringify(rowOf(first, head.buildId, nth))}`)) await once(out, 'drain')
  }
  out.end('\n  ]\n}\n')
  await once(out, 'finish')
  await rename(`${file}.new`, file)
}

/** @throws when it never is, as with a manifest that can't be used */
async function isInForce (app: FastifyInstance, pages: number): Promise<void> {
  const deadline = performance.now() + LONGEST
  while (app.isr.routes()[0]?.listed !== pages) {
    if (performance.now() > deadline) throw new Error(`${app.isr.routes()[0]?.listed} of ${pages} pages are known after ${LONGEST / 1000} s`)
    await sleep(50)
  }
}

export async function createSite (setting: Setting): Promise<FastifyInstance> {
  const { pages } = setting
  const dir = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))
  try {
    const builder = await open(dir, setting)
    const { ok } = await builder.isr.prerender({ brotli: 4 })
    await builder.close()
    if (!ok) throw new Error('the pages could not be built')
    if (pages > VISITED) await lengthen(dir, VISITED, pages)

    const app = await open(dir, { ...setting, pages: 0 })
    await isInForce(app, pages)
    app.server.once('close', () => { rm(dir, { recursive: true, force: true }) })
    return app
  } catch (error) {
    await rm(dir, { recursive: true, force: true })
    throw error
  }
}
