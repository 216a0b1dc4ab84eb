// The example site as production runs it: assets built, pages prerendered, a server of its own.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { HTTPCredentials } from 'playwright-core'
import { freePort, startProgram } from '../bench/peers/program.js'

export interface Running {
  origin: string
  /** For the pages that ask for it. */
  credentials: HTTPCredentials | null
  /** Pages that no other links to. */
  hidden: string[]
  stop (): Promise<void>
}

// From .build/audit, where the compiled command runs.
const root = fileURLToPath(new URL('../..', import.meta.url))
const APP = '.build/example-app/app.js'
const HIDDEN = ['/no-such-page', '/admin/stats', '/admin/design-system']

export async function startExample (): Promise<Running> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const credentials = { username: 'audit', password: randomUUID() }
  const env = {
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(port),
    BASE_URL: origin,
    LOG_LEVEL: 'error',
    ADMIN_USER: credentials.username,
    ADMIN_PASSWORD: credentials.password
  }
  for (const command of [['site', 'build'], ['prerender']]) await runCommandLine([...command, APP, '--quiet'], env)
  const server = await startProgram({ command: process.execPath, args: ['.build/example-app/server.js'], port, version: process.version, env, cwd: root }, { pin: (command, args) => [command, args], install: false, log: () => {} })
  return { origin, credentials, hidden: HIDDEN, stop: server.stop }
}

async function runCommandLine (args: string[], env: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(process.execPath, ['dist/cli/main.js', ...args], { cwd: root, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'close') as [number | null]
  if (code !== 0) throw new Error(`fastify-isr ${args.join(' ')} ended with ${code ?? 'a signal'}`)
}
