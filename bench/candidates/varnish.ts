import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Unavailable, type Peer } from '../candidate.js'
import { ensureCommand } from '../peers/install.js'
import { freePort, startProgram } from '../peers/program.js'
import { startCandidate } from '../running.js'

const varnish: Peer = {
  title: 'Varnish hit',
  async start (setting, tools) {
    const command = await ensureCommand('varnishd', tools, 'varnish')
    const { stderr } = await promisify(execFile)(command, ['-V'])
    // It compiles its configuration.
    try {
      await ensureCommand('cc', { ...tools, install: false })
    } catch {
      throw new Unavailable('varnishd needs a C compiler')
    }
    // The backend is another process: what it costs does not count.
    const backend = await startCandidate('plain', setting)
    const folder = await mkdtemp(path.join(tmpdir(), 'fastify-isr-varnish-'))
    await writeFile(path.join(folder, 'default.vcl'), `vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "${new URL(backend.origin).port}"; }
sub vcl_backend_response { set beresp.ttl = 1h; }
`)
    const port = await freePort()
    const cleanUp = async (): Promise<void> => {
      await backend.stop()
      await rm(folder, { recursive: true, force: true })
    }
    const parameters = ['thread_pools=1', 'thread_pool_min=5', 'thread_pool_max=200']
    return await startProgram({
      command,
      args: ['-F', '-j', 'none', '-a', `127.0.0.1:${port}`, '-f', path.join(folder, 'default.vcl'),
        '-n', path.join(folder, 'work'), '-s', 'malloc,64m', ...parameters.flatMap(parameter => ['-p', parameter])],
      port,
      version: /varnish-(\S+)/.exec(stderr)?.[1] ?? 'unknown',
      cleanUp
    }, tools)
  },
  verify (text, headers, page) {
    if (text !== page) return 'answers another page'
    return /^\d+ \d+$/.test(headers.get('x-varnish') ?? '') ? null : 'has not answered from its cache'
  }
}

export default varnish
