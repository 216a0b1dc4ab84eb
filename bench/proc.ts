// What Linux tells about processes. Elsewhere there is no /proc, and `isAvailable` says so.
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** USER_HZ: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

export interface ProcessStat {
  pid: number
  parent: number
  /** Clock ticks, user and system, of all threads, gone ones included. */
  own: number
  /** The same of children that have ended. */
  ended: number
}

export const isAvailable = existsSync('/proc/self/stat')

/** Of `/proc/<pid>/stat`. The name of the program may hold blanks and brackets. */
export function parseStat (text: string): ProcessStat {
  const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number)
  // Fields as proc(5) counts them, from 3 (state) on.
  const field = (number: number): number => afterName[number - 3] ?? NaN
  return { pid: Number.parseInt(text), parent: field(4), own: field(14) + field(15), ended: field(16) + field(17) }
}

/** Ticks of a process, its threads and its children. */
export function ticksOf (pid: number, all: readonly ProcessStat[]): number {
  const ofChildren = all.filter(({ parent }) => parent === pid).reduce((sum, child) => sum + ticksOf(child.pid, all), 0)
  const self = all.find(stat => stat.pid === pid)
  return self === undefined ? ofChildren : self.own + self.ended + ofChildren
}

export interface MachineTicks {
  busy: number
  total: number
}

/** Of `/proc/stat`, over all cores. */
export function parseMachine (text: string): MachineTicks {
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    (text.split('\n')[0] ?? '').trim().split(/\s+/).slice(1).map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busy, total: busy + idle + iowait }
}

/** The most memory a process ever held, in bytes: `VmHWM` of `/proc/<pid>/status`. */
export function parsePeak (status: string): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? NaN) * 1024
}

/** Those that end meanwhile are left out. */
function read (path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}

export function processes (): ProcessStat[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => read(`/proc/${pid}/stat`))
    .filter(text => text !== null)
    .map(parseStat)
}

/** Microseconds of CPU that a process, its threads and its children have used. */
export function cpuMicroseconds (pid: number): number {
  return ticksOf(pid, processes()) / TICKS_PER_SECOND * 1e6
}

export function machineTicks (): MachineTicks {
  return parseMachine(read('/proc/stat') ?? '')
}

/** Of this process and all that it has started. */
export function ownTicks (): number {
  return ticksOf(process.pid, processes())
}

export function peakMemory (pid: number): number {
  return parsePeak(read(`/proc/${pid}/status`) ?? '')
}
