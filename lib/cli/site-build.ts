import { LOAD_FLAGS, loadUsage } from './app-flags.js'
import { parseFlags, splitAtTerminator } from './flags.js'
import { count, formatDuration, painter } from './format.js'
import { withSite } from './site-app.js'

export const siteBuildUsage = `Usage: fastify-isr site build <app file> [flags] [-- app options]

Makes the assets of a site, from assets/ to the folder that the option 'static.dir' names:
images in several widths, style sheets and scripts bundled and minified, every name with a
digest. Needs 'sharp' and 'esbuild'. 'fastify-isr prerender' then renders the pages.

      --quiet                print failures only

${loadUsage}

Exit codes: 0 all good; 1 an asset is broken (the last build stays); 2 wrong usage, or the
app could not be loaded or has no site.
`

const FLAGS = { ...LOAD_FLAGS, quiet: { type: 'boolean' } } as const

export async function siteBuild (args: string[]): Promise<number> {
  const [own, appArgs] = splitAtTerminator(args)
  const { values, positionals } = parseFlags('site build', own, FLAGS)
  const isQuiet = values.quiet === true
  const paint = painter(process.stdout)
  const say = (text: string): void => { if (!isQuiet) process.stdout.write(`${text}\n`) }
  return await withSite({
    name: 'site build',
    files: positionals,
    flags: values,
    appArgs,
    warn: message => { if (!isQuiet) process.stderr.write(`${message}\n`) },
    async work (site) {
      const started = performance.now()
      const report = await site.buildAssets()
      say(`${paint('green', '✔')} ${count(report.files, 'file')} in ${formatDuration(performance.now() - started)}`)
      say(paint('dim', report.files === 0 ? `  there is none in ${report.source}` : `  in ${report.dir}`))
      return 0
    }
  })
}
