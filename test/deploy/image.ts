// The folder that the image holds, made by the steps that the Dockerfile runs, and its server,
// started by the command and the environment that the Dockerfile says. In the place of a container:
// a folder of its own, and a user who owns nothing of it.
import { spawn } from 'node:child_process'
import { chmod, chown, cp, mkdtemp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../helpers/command.js'
import { lastingPort, killed, spawnGuarded, type Test } from '../helpers/guarded.js'
import { readDockerfile } from './dockerfile.js'

export const root = fileURLToPath(new URL('../../..', import.meta.url))
export const dockerfile = await readDockerfile(join(root, 'example-app/Dockerfile'))
export const ADMIN = { ADMIN_USER: 'ann', ADMIN_PASSWORD: 'a long password for tests' }

/** Only root can be somebody else: everybody else owns what the test has made. */
const SOMEBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
const DEADLINE = 60_000
const BASE_URL = `BASE_URL=${dockerfile.env['BASE_URL']}`

export interface Server {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** False for one that ended before it listened. */
  readonly isUp: boolean
  /** What it has printed. */
  readonly output: string
  /** Resolves with its exit code when it is gone. */
  readonly ended: Promise<number | null>
  stop (signal: NodeJS.Signals): Promise<number | null>
}

/** What may be asked of the steps takes a while: once for all tests of a file. */
export async function buildImage (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'isr-image-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const work = join(folder, 'work')
  const { code, stdout, stderr } = await runCommand('env', [BASE_URL, 'node', 'example-app/deploy/build.mjs', work], root)
  if (code !== 0) throw new Error(`the build of the image ended with ${code}\n${stdout}\n${stderr}`)
  // Away from the tools that lie beside it.
  const app = join(folder, 'app')
  await rename(join(work, 'app'), app)
  await rm(work, { recursive: true })
  return app
}

/** The image of a later build, whose pages differ. */
export async function laterImage (app: string, name: string, change: (copy: string) => Promise<void>): Promise<string> {
  const copy = join(app, '..', name)
  const packages = join(app, 'node_modules')
  await cp(app, copy, { recursive: true, filter: name => name !== packages })
  await symlink(packages, join(copy, 'node_modules'))
  await change(copy)
  const { code, stderr } = await runCommand('env', ['NODE_ENV=production', BASE_URL, 'node_modules/.bin/fastify-isr', 'prerender', '.build/example-app/app.js'], copy)
  if (code !== 0) throw new Error(`the build of the later image ended with ${code}\n${stderr}`)
  const { code: readable } = await runCommand('chmod', ['-R', 'a+rX', '.prerender'], copy)
  if (readable !== 0) throw new Error('chmod failed')
  return copy
}

/** As Docker makes it for a new container. */
export async function newVolume (app: string, name: string): Promise<string> {
  const volume = join(app, '..', `volume-${name}`)
  await mkdir(volume, { mode: 0o700 })
  if (SOMEBODY.uid !== undefined) await chown(volume, SOMEBODY.uid, SOMEBODY.gid)
  return volume
}

export async function start (t: Test, app: string, env: Record<string, string>): Promise<Server> {
  const port = await lastingPort()
  const [program, ...args] = dockerfile.command
  if (program === undefined) throw new Error('the Dockerfile has no command')
  // `env` takes off what tap adds for whatever a test starts.
  const child = spawnGuarded('env', ['-u', 'NODE_OPTIONS', program, ...args], {
    cwd: app,
    env: { PATH: process.env['PATH'], ...dockerfile.env, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...SOMEBODY
  })
  const ended = new Promise<number | null>(resolve => { child.once('close', code => { resolve(code) }) })
  t.teardown(() => killed(child))
  let output = ''
  const listen = (chunk: Buffer): void => { output += chunk.toString() }
  child.stdout?.on('data', listen)
  child.stderr?.on('data', listen)
  const isUp = await listening(port, () => child.exitCode !== null || child.signalCode !== null)
  return {
    isUp,
    url: `http://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    get output () { return output },
    ended,
    stop: async (signal) => {
      child.kill(signal)
      return await ended
    }
  }
}

/** No request is made: the first one belongs to the test. */
async function listening (port: number, isGone: () => boolean): Promise<boolean> {
  const deadline = Date.now() + DEADLINE
  while (Date.now() < deadline) {
    const isThere = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => { socket.destroy(); resolve(true) })
      socket.once('error', () => { resolve(false) })
    })
    if (isThere || isGone()) return isThere
    await sleep(20)
  }
  throw new Error('the server did not start')
}

/** The exit code of the probe, as a container would run it. */
export async function probe (port: number): Promise<number | null> {
  const [program, ...args] = dockerfile.healthcheck
  const child = spawn(program ?? '', args, { env: { PATH: process.env['PATH'], PORT: String(port) }, stdio: 'ignore' })
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
}

/** MiB that the process has held at most. */
export async function peakMemory (pid: number): Promise<number> {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1024)
}
