// A limit for the memory of a process, by a control group of its own; `ulimit -v` would limit what
// V8 reserves, which is far more than it uses.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'

export interface MemoryLimit {
  /** Puts a process under the limit. */
  add (pid: number): void
  remove (): void
}

/** Null where that isn't allowed. */
export function limitMemory (bytes: number): MemoryLimit | null {
  const isUnified = existsSync(join(ROOT, 'cgroup.controllers'))
  const folder = join(ROOT, isUnified ? '' : 'memory', `fastify-isr-bench-${process.pid}`)
  try {
    mkdirSync(folder)
    writeFileSync(join(folder, isUnified ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes))
  } catch {
    if (existsSync(folder)) rmdirSync(folder)
    return null
  }
  return {
    add: pid => writeFileSync(join(folder, 'cgroup.procs'), String(pid)),
    remove: () => {
      try {
        rmdirSync(folder)
      } catch {
        // A process is still in it; an empty group that stays does no harm.
      }
    }
  }
}
