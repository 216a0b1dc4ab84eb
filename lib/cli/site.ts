import { CliError } from './cli-error.js'
import { siteBuild, siteBuildUsage } from './site-build.js'
import { siteCheck, siteCheckUsage } from './site-check.js'
import { siteNew, siteNewUsage } from './site-new.js'

const COMMANDS = new Map([
  ['build', { usage: siteBuildUsage, run: siteBuild }],
  ['check', { usage: siteCheckUsage, run: siteCheck }],
  ['new', { usage: siteNewUsage, run: siteNew }]
])

export const siteUsage = `Usage: fastify-isr site <command> [flags]

  build <app file>   make the assets: images, style sheets, scripts
  check <app file>   report broken templates, links, anchors and images
  new "Title"        write a new Markdown file with front matter

'fastify-isr site <command> --help' explains each.
`

export async function site (args: string[]): Promise<number> {
  const [name, ...rest] = args
  const command = COMMANDS.get(name ?? '')
  if (command === undefined) {
    const what = name === undefined ? 'which command?' : `unknown command '${name}'.`
    throw new CliError(`site: ${what} There are ${[...COMMANDS.keys()].join(', ')}`, { hint: "See 'fastify-isr site --help'." })
  }
  return await command.run(rest)
}

/** The help of a command of these, or of all. */
export function siteHelp (args: readonly string[]): string {
  return COMMANDS.get(args[0] ?? '')?.usage ?? siteUsage
}
