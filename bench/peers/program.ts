import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { Unavailable, type PeerServer, type PeerTools } from '../candidate.js'

const DEADLINE = 30_000

export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export interface Program {
  command: string
  args: string[]
  port: number
  version: string
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** What is to be undone in the end. */
  cleanUp?: () => Promise<unknown>
}

/** Starts a program on the core of servers and waits until it answers. */
export async function startProgram ({ command, args, port, version, env = {}, cwd, cleanUp }: Program, tools: PeerTools): Promise<PeerServer> {
  const [file, all] = tools.pin(command, args)
  const child = spawn(file, all, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'], ...cwd !== undefined && { cwd } })
  let errors = ''
  child.stderr.on('data', chunk => { errors = (errors + String(chunk)).slice(-1000) })
  const exited = once(child, 'close').catch((error: unknown) => { errors += String(error) })
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null && child.pid !== undefined

  // A runner that is interrupted leaves nobody behind.
  const end = (): void => { child.kill('SIGTERM') }
  process.once('exit', end)

  async function stop (): Promise<void> {
    process.off('exit', end)
    if (isRunning()) {
      child.kill('SIGTERM')
      await Promise.race([exited, sleep(5000, undefined, { ref: false })])
      if (isRunning()) child.kill('SIGKILL')
      await exited
    }
    await cleanUp?.()
  }

  const deadline = performance.now() + DEADLINE
  while (!await answers(port)) {
    if (isRunning() && performance.now() < deadline) {
      await sleep(100)
      continue
    }
    await stop()
    throw new Unavailable(`${command} does not answer: ${errors.trim().split('\n').at(-1)}`)
  }
  return { process: child, port, version, stop }
}

async function answers (port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
