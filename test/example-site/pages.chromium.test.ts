// The blog, the documentation and the admin pages in a real browser: their search, their colours, their policy.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { AxeResults } from 'axe-core'
import t from 'tap'
import { openPage } from '../helpers/chromium.js'
import { startExample } from '../helpers/example-site.js'

const access = { user: 'editor', password: 'secret' }
const PATHS = ['/blog', '/blog/a-stale-page-is-not-broken', '/blog/what-a-hit-costs', '/blog/tag/isr', '/docs', '/docs/site', '/docs/performance', '/docs/s3-tier', '/repository', '/admin/stats', '/admin/design-system']
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

for (const colorScheme of ['light', 'dark'] as const) {
  t.test(`no page has a fault that axe finds, or anything that its policy refuses, in ${colorScheme}`, async (t) => {
    const { app } = await startExample(t, { admin: access })
    const { page, errors } = await openPage(t, { colorScheme, httpCredentials: { username: access.user, password: access.password }, viewport: { width: 390, height: 800 } })
    const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
    for (const path of PATHS) {
      await page.goto(origin + path, { waitUntil: 'load' })
      await page.evaluate(axe)
      const { violations } = await page.evaluate(async () => await (globalThis as unknown as { axe: { run (): Promise<AxeResults> } }).axe.run())
      t.same(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' ')}`), [], path)
      t.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${path} is no wider than a phone`)
    }
    t.same(errors, [])
  })
}

t.test('the documentation is searched in the browser, and what is found leads to its part of a page', async (t) => {
  const { app } = await startExample(t)
  const { page, errors } = await openPage(t)
  const origin = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
  await page.goto(`${origin}/docs`)
  const results = page.locator('[data-search-results] li')
  await page.getByLabel('Search the documentation').fill('escaping <script')
  await results.first().waitFor()
  t.match(await page.locator('[data-search-status]').textContent(), /^\d+ sections? found\.$/)
  t.match(await results.first().textContent(), /Escaping/)
  await results.first().locator('a').click()
  await page.waitForURL(/\/docs\/templates#escaping$/)
  await page.goto(`${origin}/docs`)
  await page.getByLabel('Search the documentation').fill('quetzalcoatl')
  await page.getByText('Nothing found.').waitFor()
  t.equal(await results.count(), 0)
  t.same(errors, [])
})

t.test('without JavaScript the documentation is a list', async (t) => {
  const { app } = await startExample(t)
  const { page } = await openPage(t, { javaScriptEnabled: false })
  await page.goto(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}/docs`)
  t.notOk(await page.getByLabel('Search the documentation').isVisible())
  await page.getByRole('navigation', { name: 'Documentation' }).getByRole('link', { name: 'Templates' }).click()
  await page.waitForURL(/\/docs\/templates$/)
})
