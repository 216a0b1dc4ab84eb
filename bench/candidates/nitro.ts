import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Peer } from '../candidate.js'
import { renderPage } from '../page.js'
import { ensureProject } from '../peers/install.js'
import { freePort, startProgram } from '../peers/program.js'

const ROUTE = `const page = ${JSON.stringify(renderPage())}

export default defineCachedEventHandler(event => {
  setResponseHeader(event, 'content-type', 'text/html; charset=utf-8')
  return page
}, { maxAge: 3600, swr: true })
`

const nitro: Peer = {
  title: 'Nitro, cached route',
  async start (setting, tools) {
    const folder = await ensureProject({
      name: 'nitropack-2',
      dependencies: { nitropack: '2' },
      files: { 'routes/index.js': ROUTE, 'nitro.config.js': "export default { compatibilityDate: '2026-01-01' }\n" },
      build: ['nitropack', 'build']
    }, tools)
    const { version } = JSON.parse(await readFile(path.join(folder, 'node_modules/nitropack/package.json'), 'utf8')) as { version: string }
    const port = await freePort()
    return await startProgram({
      command: process.execPath,
      args: [path.join(folder, '.output/server/index.mjs')],
      port,
      version,
      cwd: folder,
      env: { NODE_ENV: 'production', HOST: '127.0.0.1', PORT: String(port) }
    }, tools)
  },
  // It doesn't tell a hit; the handler has a Last-Modified only when it is cached.
  verify (text, headers, page) {
    if (text !== page) return 'answers another page'
    return headers.has('last-modified') ? null : 'has not answered from its cache'
  }
}

export default nitro
