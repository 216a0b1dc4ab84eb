#!/usr/bin/env node
import type { Action } from '../ops/endpoint.js'
import { CliError, printError } from './cli-error.js'
import { forwardToFastifyCli } from './forward.js'
import { link, linkUsage } from './link.js'
import { ORDER_USAGES, orderCommand } from './orders.js'
import { ownPackage } from './own-package.js'
import { prerender, prerenderUsage } from './prerender.js'
import { site, siteHelp } from './site.js'

interface Command {
  usage: string | ((args: string[]) => string)
  /** Resolves with the exit code. */
  run (args: string[]): number | Promise<number>
}

const COMMANDS = new Map<string, Command>([
  ['prerender', { usage: prerenderUsage, run: prerender }],
  ...(Object.keys(ORDER_USAGES) as Action[]).map((action): [string, Command] => [action, { usage: ORDER_USAGES[action], run: orderCommand(action) }]),
  ['site', { usage: siteHelp, run: site }],
  ['link', { usage: linkUsage, run: link }]
])

const USAGE = `Usage: fastify-isr <command> [flags]

  prerender <app file>  render an app's pages to disk
  revalidate, purge     make pages stale, or remove them, in a running app or in its files
  refresh               render pages now, in a running app
  inspect               tell what is stored for a path
  site                  build, check and begin the pages of fastify-isr/site
  link                  make 'fastify' run fastify-isr beside fastify-cli
  help [command]        show this, or the help of a command

  -h, --help            show this
  -v, --version         show the version

Every other command is passed on to the project's fastify-cli.
`

async function main (args: string[]): Promise<number | null> {
  const [name, ...rest] = args
  if (name === undefined) {
    process.stderr.write(USAGE)
    return 2
  }
  if (name === 'help' || name === '--help' || name === '-h') return help(rest)
  if (name === '--version' || name === '-v') return print(ownPackage().version)
  const command = COMMANDS.get(name)
  if (command !== undefined) return asksForHelp(rest) ? print(usageOf(command, rest)) : command.run(rest)
  return forward(name)
}

function help ([topic, ...rest]: string[]): number | null {
  if (topic === undefined) return print(USAGE)
  const command = COMMANDS.get(topic)
  return command === undefined ? forward(topic) : print(usageOf(command, rest))
}

function usageOf ({ usage }: Command, args: string[]): string {
  return typeof usage === 'string' ? usage : usage(args)
}

function asksForHelp (args: string[]): boolean {
  const own = args.includes('--') ? args.slice(0, args.indexOf('--')) : args
  return own.includes('--help') || own.includes('-h')
}

function forward (name: string): null {
  const hint = "See 'fastify-isr --help'."
  if (name.startsWith('-')) throw new CliError(`unknown flag ${name}: the command comes first`, { hint })
  // fastify-cli runs whatever comes closest: 'prerendr app.js' would generate a project.
  if (name.startsWith('pre')) throw new CliError(`unknown command '${name}': did you mean 'prerender'?`, { hint })
  forwardToFastifyCli(name)
  return null
}

function print (text: string): number {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  return 0
}

function finish (exitCode: number | null): void {
  // After forwarding, the exit code is fastify-cli's.
  if (exitCode !== null) process.exitCode = exitCode
}

// Not awaited at the top level: Node has its own words for a main module that never settles.
main(process.argv.slice(2)).then(finish, error => {
  printError(error)
  finish(2)
})
