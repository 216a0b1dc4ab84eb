// A process of its own for tests of several processes on one directory:
//   node site-child.js <what> <dir> <settings as JSON>
// `build` builds once, `serve` writes pages back until it is killed. The site is one of
// `pages` pages that all show the generation they were rendered in.
import Fastify, { type FastifyInstance } from 'fastify'
import isr, { type BuildOptions, type IsrOptions } from '../../lib/index.js'

export interface ChildSettings {
  pages: number
  generation: number
  isr?: IsrOptions
  build?: BuildOptions
  /** Milliseconds per render. */
  slow?: number
}

/** Long enough that a write of it can be torn, and that it is compressed. */
export function text (id: string, generation: number): string {
  return `<!doctype html><title>${id}</title>${`generation ${generation} `.repeat(400)}`
}

export async function site (dir: string, { pages, generation, isr: options, slow = 0 }: ChildSettings): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(isr, { dir, ...options })
  app.get('/p/:id', {
    config: { prerender: { paths: Array.from({ length: pages }, (_, id) => ({ id })), tags: ['all'] } }
  }, async (request, reply) => {
    if (slow > 0) await new Promise(resolve => setTimeout(resolve, slow))
    return reply.type('text/html').send(text((request.params as { id: string }).id, generation))
  })
  await app.ready()
  return app
}

/** The generation that a body shows, wholly; throws for a torn one. */
export function generationOf (id: string, body: string): number {
  const generation = Number(/generation (\d+) /.exec(body)?.[1])
  if (body !== text(id, generation)) throw new Error(`a torn page: ${body.length} bytes, ${body.slice(0, 100)}`)
  return generation
}

if (process.argv[1]?.endsWith('site-child.js')) {
  const [, , what, dir = '', json = ''] = process.argv
  const settings = JSON.parse(json) as ChildSettings
  if (what === 'build') {
    const app = await site(dir, settings)
    process.stdout.write('building\n')
    const report = await app.isr.prerender(settings.build)
    process.stdout.write(`${JSON.stringify({ ok: report.ok, buildId: report.buildId })}\n`)
    await app.close()
  } else {
    let generation = settings.generation
    const app = await site(dir, { ...settings, get generation () { return generation } } as ChildSettings)
    process.stdout.write('serving\n')
    for (;;) {
      generation++
      await app.isr.refresh({ all: true })
    }
  }
}
