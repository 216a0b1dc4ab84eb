import Module, { createRequire } from 'node:module'
import path from 'node:path'
import { CliError, codeOf } from './cli-error.js'

/**
 * Hands the whole command line to the project's own fastify-cli, in this process, so that signals,
 * exit codes and `require.main` (it finds its help files by it) are as if it had been started itself.
 */
export function forwardToFastifyCli (command: string): void {
  process.argv[1] = findFastifyCli(command)
  Module.runMain(process.argv[1])
}

function findFastifyCli (command: string): string {
  try {
    return createRequire(path.join(process.cwd(), 'noop.js')).resolve('fastify-cli/cli.js')
  } catch (error) {
    if (codeOf(error) !== 'MODULE_NOT_FOUND') throw error
    throw new CliError(`'${command}' is not a command of fastify-isr, and fastify-cli, which it would be passed on to, is not installed here`, {
      hint: "Install it with 'npm install fastify-cli', or see 'fastify-isr --help'."
    })
  }
}
