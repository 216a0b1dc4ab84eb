// npm run audit -- [--only lighthouse|axe] [--pages /,/blog] [--url http://127.0.0.1:3000]
import { runAxe, type Visited } from './axe.js'
import { startExample, type Running } from './example.js'
import { runLighthouse } from './lighthouse.js'
import { parseOptions, USAGE, UsageError, type Options } from './options.js'
import { oneOfEach, sitemapPaths } from './pages.js'
import { formatScores, formatVisits } from './report.js'
import { missed, type Scores } from './verdict.js'

interface Findings {
  scores: Scores[]
  visits: Visited[]
}

const tell = (text: string): void => { process.stderr.write(`${text}\n`) }

async function look ({ checks, pages }: Options, { origin, credentials, hidden }: Running): Promise<Findings> {
  const listed = pages ?? await sitemapPaths(origin)
  // First, while nothing else of this run takes the processor.
  const scores = checks.includes('lighthouse')
    ? await runLighthouse(origin, pages ?? oneOfEach(listed), path => { tell(`Lighthouse ${path}`) })
    : []
  const visits = checks.includes('axe')
    ? await runAxe({ origin, paths: pages ?? ['/', ...listed, ...hidden], follow: pages === null, credentials, onPage: (path, scheme) => { tell(`axe ${scheme} ${path}`) } })
    : []
  return { scores, visits }
}

async function main (): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  const site = options.url === null ? await startExample() : { origin: options.url, credentials: null, hidden: [], stop: async () => {} }
  const { scores, visits } = await look(options, site).finally(async () => { await site.stop() })
  const tables = [...scores.length > 0 ? [formatScores(scores)] : [], ...visits.length > 0 ? [formatVisits(visits)] : []]
  process.stdout.write(`${tables.join('\n\n')}\n`)
  return scores.some(one => missed(one).length > 0) || visits.some(({ violations }) => violations.length > 0) ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  tell(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
}
