// Installs what is compared with, and only when it is asked for. Nothing of it is ever started as
// a service, and nothing is written into the repository.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Unavailable, type PeerTools } from '../candidate.js'

const run = promisify(execFile)
const FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/sbin', ...(process.env['PATH'] ?? '').split(path.delimiter)]
/** Tells Debian's packages not to start what they install. */
const NO_SERVICES = '/usr/sbin/policy-rc.d'
/** Milliseconds. */
const LONGEST = 300_000

function find (command: string): string | null {
  return FOLDERS.map(folder => path.join(folder, command)).find(existsSync) ?? null
}

function firstLine (error: unknown): string {
  const { stderr, message } = error as { stderr?: string, message?: string }
  return (stderr || message || String(error)).trim().split('\n').at(-1) ?? ''
}

async function withoutServices<T> (work: () => Promise<T>): Promise<T> {
  if (existsSync(NO_SERVICES)) return await work()
  await writeFile(NO_SERVICES, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    return await work()
  } finally {
    await rm(NO_SERVICES)
  }
}

/** The path of a command, from its Debian package if need be. */
export async function ensureCommand (command: string, { install, log }: Pick<PeerTools, 'install' | 'log'>, debianPackage = command): Promise<string> {
  const found = find(command)
  if (found !== null) return found
  if (!install) throw new Unavailable(`${command} is not installed`)
  if (process.getuid?.() !== 0) throw new Unavailable(`${command} is not installed, and only root can: apt-get install ${debianPackage}`)
  if (find('apt-get') === null) throw new Unavailable(`${command} is not installed, and there is no apt-get`)
  log(`installing ${debianPackage}`)
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await withoutServices(() => run('apt-get', ['install', '-y', '--no-install-recommends', debianPackage], { env, timeout: LONGEST }))
  } catch (error) {
    throw new Unavailable(`${debianPackage} can't be installed: ${firstLine(error)}`)
  }
  const installed = find(command)
  if (installed === null) throw new Unavailable(`${debianPackage} is installed, but there is no ${command}`)
  return installed
}

export interface Project {
  /** Of its folder; with the major versions in it, a new one is a new folder. */
  name: string
  dependencies: Record<string, string>
  files: Record<string, string>
  /** The command in `node_modules/.bin` that builds it. */
  build: [string, ...string[]]
}

/** The folder of a project, installed and built. Packages are kept for the next run. */
export async function ensureProject ({ name, dependencies, files, build }: Project, { install, log }: Pick<PeerTools, 'install' | 'log'>): Promise<string> {
  const folder = path.join(tmpdir(), 'fastify-isr-bench-peers', name)
  const [command, ...args] = build
  const bin = path.join(folder, 'node_modules/.bin', command)
  try {
    await mkdir(folder, { recursive: true })
    const manifest = { name, private: true, type: 'module', dependencies }
    for (const [file, text] of Object.entries({ ...files, 'package.json': JSON.stringify(manifest) })) {
      await mkdir(path.dirname(path.join(folder, file)), { recursive: true })
      await writeFile(path.join(folder, file), text)
    }
    if (!existsSync(bin)) {
      if (!install) throw new Unavailable(`${name} is not installed`)
      log(`installing ${name} in ${folder}`)
      await run('npm', ['install', '--no-audit', '--no-fund'], { cwd: folder, timeout: LONGEST })
    }
    log(`building ${name}`)
    await run(bin, args, { cwd: folder, timeout: LONGEST, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', NODE_ENV: 'production' } })
  } catch (error) {
    if (error instanceof Unavailable) throw error
    throw new Unavailable(`${name} can't be installed or built: ${firstLine(error)}`)
  }
  return folder
}
