// Lighthouse with its defaults: a phone on a slow connection, both simulated.
import lighthouse from 'lighthouse'
import { freePort } from '../bench/peers/program.js'
import { launchChromium } from '../test/helpers/chromium.js'
import { CATEGORIES, withRetry, type Category, type FailedAudit, type Scores } from './verdict.js'

type Report = NonNullable<Awaited<ReturnType<typeof lighthouse>>>['lhr']

export async function runLighthouse (origin: string, paths: readonly string[], onPage: (path: string) => void): Promise<Scores[]> {
  const port = await freePort()
  const browser = await launchChromium({ args: [`--remote-debugging-port=${port}`] })
  try {
    const all: Scores[] = []
    for (const path of paths) {
      onPage(path)
      all.push(await withRetry(async () => toScores(path, await measure(origin + path, port))))
    }
    return all
  } finally {
    await browser.close()
  }
}

async function measure (url: string, port: number): Promise<Report> {
  const result = await lighthouse(url, { port, logLevel: 'error', onlyCategories: CATEGORIES, locale: 'en-US' })
  if (result === undefined) throw new Error(`Lighthouse has no report of ${url}`)
  const { lhr } = result
  if (lhr.runtimeError !== undefined) throw new Error(`Lighthouse could not look at ${url}: ${lhr.runtimeError.message}`)
  return lhr
}

export function toScores (path: string, { categories, audits }: Pick<Report, 'categories' | 'audits'>): Scores {
  const metric = (name: string): number => audits[name]?.numericValue ?? NaN
  return {
    path,
    scores: Object.fromEntries(CATEGORIES.map(name => [name, Math.round((categories[name]?.score ?? 0) * 100)])) as Record<Category, number>,
    metrics: { largestContentfulPaint: metric('largest-contentful-paint'), totalBlockingTime: metric('total-blocking-time'), layoutShift: metric('cumulative-layout-shift') },
    failed: CATEGORIES.flatMap(category => (categories[category]?.auditRefs ?? []).flatMap(({ id, weight }): FailedAudit[] => {
      const { title = '', score = null } = audits[id] ?? {}
      // What has no weight only informs; what has no score does not apply to the page.
      return weight === 0 || score === null || score === 1 ? [] : [{ category, name: id, title, score }]
    }))
  }
}
