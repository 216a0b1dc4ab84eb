import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { createServer } from 'node:net'

/** What is needed of a test: tap's `t` fits. */
export interface Test {
  teardown (fn: () => unknown): void
}

// Ends with whoever holds the other end of its standard input, however that one ends: the only
// notice that a process killed by SIGKILL can still give. Ctrl-C reaches everybody at the
// terminal; the guard must outlive it.
const GUARD = 'trap "" INT TERM HUP; read -r never; kill -9 "$1"; if [ -n "$2" ]; then rm -rf "$2"; fi'

/** Starts a program that never outlives this process, not even when this process is killed; nor does its directory. */
export function spawnGuarded (command: string, args: readonly string[], options: SpawnOptions, dir = ''): ChildProcess {
  const child = spawn(command, args, options)
  if (child.pid === undefined) return child
  const guard = spawn('sh', ['-c', GUARD, 'sh', String(child.pid), dir], { stdio: ['pipe', 'ignore', 'ignore'] })
  guard.unref()
  // It must not act any more once the number of the process may be another's.
  child.once('exit', () => { guard.kill('SIGKILL') })
  guard.stdin?.on('error', () => {})
  return child
}

/** Resolves when the process is gone. */
export async function killed (child: ChildProcess, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>(resolve => {
    child.once('exit', () => { resolve() })
    child.kill(signal)
  })
}

// Below the ports that systems give to outgoing connections, or one of those could take a port
// while the server that it belongs to is down.
const LOWEST = 10_000
const HIGHEST = 32_767

function isFree (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    server.listen(port, '127.0.0.1', () => { server.close(() => { resolve(true) }) })
  })
}

/** A port that stays free while nobody listens on it, for servers that come back where they were. */
export async function lastingPort (): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST + 1))
    if (await isFree(port)) return port
  }
}
