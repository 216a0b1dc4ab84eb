import { execFileSync } from 'node:child_process'
import { availableParallelism, getPriority, setPriority } from 'node:os'

export interface Cores {
  server: number
  load: number
}

function hasTaskset (): boolean {
  try {
    execFileSync('taskset', ['-p', String(process.pid)], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** One core for the server, another one for the load; null where there is only one, or no taskset. */
export const cores: Cores | null = availableParallelism() >= 2 && hasTaskset() ? { server: 0, load: 1 } : null

export function pin (what: keyof Cores, command: string, args: string[]): [string, string[]] {
  return cores === null ? [command, args] : ['taskset', ['-c', String(cores[what]), command, ...args]]
}

/** How a `fork()` is pinned. */
export function forkOptions (what: keyof Cores, flags: string[] = []): { execPath: string, execArgv: string[] } {
  const [execPath, execArgv] = pin(what, process.execPath, flags)
  return { execPath, execArgv }
}

/** Takes precedence over other work on the machine, if that is allowed. Children inherit it. */
export function prioritise (niceness: number): void {
  try {
    setPriority(niceness)
  } catch {
    // Only root may; the figures are noisier then.
  }
}

export function niceness (): number {
  return getPriority()
}
