import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AxeResults } from 'axe-core'
import type { Browser, BrowserContext, HTTPCredentials, Page } from 'playwright-core'
import { launchChromium } from '../test/helpers/chromium.js'

export const SCHEMES = ['light', 'dark'] as const
export type Scheme = typeof SCHEMES[number]

export interface Violation {
  /** As axe names it: `color-contrast`; `console` for what the page complained about itself. */
  rule: string
  help: string
  /** Selectors, or messages of the console. */
  where: string[]
}

export interface Visited {
  path: string
  scheme: Scheme
  violations: Violation[]
}

export interface AxeOptions {
  origin: string
  /** Where to begin. */
  paths: readonly string[]
  /** Whether pages that are linked from these are looked at as well. */
  follow: boolean
  credentials: HTTPCredentials | null
  onPage: (path: string, scheme: Scheme) => void
}

declare global {
  var axe: { run: () => Promise<AxeResults> }
}

/** Every page in both schemes. Links are followed in the first of them. */
export async function runAxe ({ follow, ...options }: AxeOptions): Promise<Visited[]> {
  const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  const browser = await launchChromium()
  try {
    const [first, ...others] = SCHEMES
    const all = await visitAll(browser, source, { ...options, follow, scheme: first })
    const paths = all.map(({ path }) => path)
    for (const scheme of others) all.push(...await visitAll(browser, source, { ...options, paths, follow: false, scheme }))
    return all
  } finally {
    await browser.close()
  }
}

async function visitAll (browser: Browser, source: string, { origin, paths, follow, credentials, scheme, onPage }: AxeOptions & { scheme: Scheme }): Promise<Visited[]> {
  const context = await browser.newContext({ colorScheme: scheme, reducedMotion: 'reduce', ...credentials !== null && { httpCredentials: { ...credentials, origin } } })
  const known = new Set(paths)
  const all: Visited[] = []
  // What is added while it is iterated over is visited as well.
  for (const path of known) {
    if (!await isPage(context, origin + path)) {
      if (paths.includes(path)) throw new Error(`${origin}${path} is no page`)
      continue
    }
    onPage(path, scheme)
    const { violations, links } = await visit(context, origin + path, source)
    all.push({ path, scheme, violations })
    if (follow) for (const link of links) known.add(link)
  }
  await context.close()
  return all
}

/** Feeds, images and downloads are none. */
async function isPage (context: BrowserContext, url: string): Promise<boolean> {
  const response = await context.request.get(url)
  return /^text\/html\b/.test(response.headers()['content-type'] ?? '')
}

async function visit (context: BrowserContext, url: string, source: string): Promise<{ violations: Violation[], links: string[] }> {
  const page = await context.newPage()
  const complaints = listen(page, url)
  await page.goto(url, { waitUntil: 'load' })
  // Not as a script element: the page's Content-Security-Policy would refuse it.
  await page.evaluate(source)
  const { violations } = await page.evaluate(async () => await globalThis.axe.run())
  const links = await page.evaluate(() => Array.from(document.links, ({ origin, pathname }) => origin === location.origin ? pathname : ''))
  await page.close()
  const found = violations.map(({ id, help, nodes }) => ({ rule: id, help, where: nodes.map(({ target }) => target.join(' ')) }))
  if (complaints.length > 0) found.push({ rule: 'console', help: 'The page must not log errors', where: complaints })
  return { violations: found, links: links.filter(path => path !== '') }
}

function listen (page: Page, url: string): string[] {
  const complaints: string[] = []
  page.on('console', message => {
    // That an error page has the status of an error is as it should be.
    const isOwnStatus = message.location().url === url && message.text().startsWith('Failed to load resource')
    if (message.type() === 'error' && !isOwnStatus) complaints.push(message.text())
  })
  page.on('pageerror', error => { complaints.push(String(error)) })
  return complaints
}
