import { LOAD_FLAGS, loadUsage } from './app-flags.js'
import { parseFlags, splitAtTerminator } from './flags.js'
import { count, painter, printable } from './format.js'
import { keepStdout } from './process.js'
import { withSite } from './site-app.js'

export const siteCheckUsage = `Usage: fastify-isr site check <app file> [flags] [-- app options]

Compiles and renders everything and reports what is broken, with file, line and column:
templates and partials, front matter, links, anchors, images and other assets. Nothing is
written to the output directory.

      --json                 print the report as one JSON document on stdout
      --quiet                print what is broken only

${loadUsage}

Exit codes: 0 nothing is broken; 1 something is; 2 wrong usage, or the app could not be
loaded or has no site.
`

const FLAGS = { ...LOAD_FLAGS, json: { type: 'boolean' }, quiet: { type: 'boolean' } } as const

export async function siteCheck (args: string[]): Promise<number> {
  const [own, appArgs] = splitAtTerminator(args)
  const { values, positionals } = parseFlags('site check', own, FLAGS)
  const stdout = values.json === true ? keepStdout() : process.stdout
  const paint = painter(process.stderr)
  const isQuiet = values.quiet === true || values.json === true
  const printError = (text: string): void => { process.stderr.write(`${text}\n`) }
  return await withSite({
    name: 'site check',
    files: positionals,
    flags: values,
    appArgs,
    // What is broken is told by the report, with the lines around it.
    warn: (message, about) => { if (!isQuiet && about?.isBroken !== true) printError(message) },
    async work (site) {
      const report = await site.check()
      const isGood = report.problems.length === 0
      if (values.json === true) {
        await new Promise<void>(resolve => { stdout.write(`${JSON.stringify(report)}\n`, () => { resolve() }) })
        return isGood ? 0 : 1
      }
      for (const { file, line, column, code, message, frame } of report.problems) {
        printError(`${paint('red', printable(`${file}:${line}:${column}`))}  [${code}] ${printable(message)}`)
        // Of more than one line, and without what a terminal obeys.
        for (const row of frame.split('\n').filter(row => row !== '')) printError(`  ${plain(row)}`)
      }
      if (!isQuiet || !isGood) {
        const what = `${count(report.pages, 'page')}, ${count(report.links, 'link')}`
        if (isGood) stdout.write(`${painter(process.stdout)('green', '✔')} ${what}: nothing is broken\n`)
        else printError(`${paint('red', '✖')} ${what}: ${count(report.problems.length, 'problem')}`)
      }
      return isGood ? 0 : 1
    }
  })
}

function plain (text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')
}
