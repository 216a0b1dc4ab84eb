import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import fastify from 'fastify'
import type { Candidate } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'

const fastifyStaticFile: Candidate = {
  title: '@fastify/static',
  async createApp ({ kilobytes }) {
    const root = await mkdtemp(join(tmpdir(), 'fastify-isr-bench-'))
    await writeFile(join(root, 'index.html'), renderPage(productsOf(kilobytes)))
    const app = fastify()
    await app.register(fastifyStatic, { root })
    app.server.once('close', () => { rm(root, { recursive: true, force: true }) })
    return app
  }
}

export default fastifyStaticFile
