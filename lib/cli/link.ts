import { chmodSync, existsSync, lstatSync, readlinkSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { CliError } from './cli-error.js'
import { parseFlags } from './flags.js'
import { ownPackage } from './own-package.js'

export const linkUsage = `Usage: fastify-isr link

Points node_modules/.bin/fastify at fastify-isr, so that 'fastify prerender' works
in a project that has fastify-cli too. Every other command still goes to fastify-cli.

npm decides anew at each clean install. To make it last, put it in package.json:

  "scripts": { "prepare": "fastify-isr link" }
`

/** Which of two packages with a bin `fastify` gets it depends on the package manager; this decides it. */
export function link (args: string[]): number {
  const { positionals } = parseFlags('link', args, {})
  if (positionals.length > 0) throw new CliError(`link: unexpected argument '${positionals[0]}'`, { hint: "See 'fastify-isr link --help'." })
  if (process.platform === 'win32') {
    throw new CliError('link is not supported on Windows, where commands are no links', { hint: "Use 'fastify-isr prerender' instead of 'fastify prerender'." })
  }

  const bin = findBinFolder(process.cwd())
  const target = path.relative(bin, findMain(bin))
  const file = path.join(bin, 'fastify')
  const before = describeLink(file)
  if (before === target) {
    console.log(`${show(file)} already runs fastify-isr`)
    return 0
  }
  replaceLink(bin, target)
  console.log(`${show(file)} now runs fastify-isr (${target})${before === null ? '' : `, before: ${before}`}`)
  return 0
}

function findBinFolder (start: string): string {
  for (let dir = start; ; dir = path.dirname(dir)) {
    const bin = path.join(dir, 'node_modules', '.bin')
    if (existsSync(bin)) return bin
    if (dir === path.dirname(dir)) {
      throw new CliError(`no node_modules/.bin in ${start} or above: nothing to link`, { hint: 'Run it in the project, after its packages are installed.' })
    }
  }
}

// The project's own copy and not the one that runs: started through npx or from a global install
// they differ, and a link out of the project would break for everybody else.
function findMain (bin: string): string {
  const { root, main } = ownPackage()
  const installed = path.join(path.dirname(bin), 'fastify-isr', path.relative(root, main))
  if (existsSync(installed)) return installed
  throw new CliError(`fastify-isr is not installed in ${path.dirname(bin)}`, { hint: "Install it with 'npm install fastify-isr'." })
}

function describeLink (file: string): string | null {
  const stats = lstatSync(file, { throwIfNoEntry: false })
  if (stats === undefined) return null
  return stats.isSymbolicLink() ? readlinkSync(file) : 'a script'
}

// Renamed into place: somebody may be starting it at this moment.
function replaceLink (bin: string, target: string): void {
  const temporary = path.join(bin, `.fastify-isr-${process.pid}`)
  try {
    makeExecutable(path.join(bin, target))
    symlinkSync(target, temporary)
    renameSync(temporary, path.join(bin, 'fastify'))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw new CliError(`can't link ${show(path.join(bin, 'fastify'))}: ${(error as Error).message}`)
  }
}

// npm does this for the bins it links; a package linked from a checkout may lack it.
function makeExecutable (file: string): void {
  if ((statSync(file).mode & 0o111) === 0) chmodSync(file, 0o755)
}

function show (file: string): string {
  return path.relative(process.cwd(), file)
}
