import { channel } from 'node:diagnostics_channel'
import Fastify from 'fastify'
import fp from 'fastify-plugin'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import example from '../example-app/app.js'
import { openPage } from './helpers/chromium.js'
import { exampleAssets } from './helpers/example-assets.js'

/** Builds the site as the CLI would, then serves the build with another instance. */
async function serve (t: Test) {
  const dir = t.testdir()
  const assets = await exampleAssets()

  // Time stands still unless a test moves it: a slow machine makes no page old.
  const now = Date.now()
  let offset = 0

  const builder = Fastify()
  await builder.register(fp(example), { dir, assets, clock: () => now })
  await builder.ready()
  const { ok } = await builder.isr.prerender()
  await builder.close()
  t.ok(ok, 'the site is built')

  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(example, { dir, assets, clock: () => now + offset })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { url, advance: (seconds: number) => { offset += seconds * 1000 } }
}

function regenerated (path: string): Promise<void> {
  return new Promise(resolve => {
    const events = channel('fastify-isr:regenerate')
    events.subscribe(function listener (event) {
      if ((event as { path: string }).path !== path) return
      events.unsubscribe(listener)
      resolve()
    })
  })
}

const label = (page: Page, name: string) => page.locator(`[data-read="${name}"]`)

const paths = [
  '/', '/how-it-works', '/freshness', '/pulse', '/request', '/notice', '/outage', '/stock', '/stock/kettle',
  '/tenants/harbour', '/about', '/features', '/guides', '/guides/when-not-to-use-it', '/guides/choosing-a-ttl', '/compare', '/compare/isr', '/compare/dynamic'
]

t.test('every page loads without an error and fills in its label', async t => {
  const { url } = await serve(t)
  const { page, errors } = await openPage(t)
  const strangers: string[] = []
  page.on('request', request => {
    if (!request.url().startsWith(url)) strangers.push(request.url())
  })

  for (const path of paths) {
    await page.goto(url + path)
    await page.waitForFunction(() => document.querySelector('[data-label]')?.hasAttribute('data-state'))
    const status = await label(page, 'cache-status').textContent()
    if (['/request', '/tenants/harbour', '/compare/dynamic'].includes(path)) t.notMatch(status, /hit/, path)
    else t.match(status, /^fastify-isr; hit(; ttl=\d+)?$/, path)
  }
  t.same(errors, [])
  t.same(strangers, [], 'nothing is asked of another origin')
})

t.test('no page is wider than a small phone', async t => {
  const { url } = await serve(t)
  const { page } = await openPage(t, { viewport: { width: 320, height: 640 } })
  for (const path of paths) {
    await page.goto(url + path)
    t.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, path)
  }
})

t.test('the first stop of the keyboard is a link past the navigation', async t => {
  const { url } = await serve(t)
  const { page } = await openPage(t)
  await page.goto(url)
  await page.keyboard.press('Tab')
  t.equal(await page.evaluate(() => document.activeElement?.textContent), 'Skip to the content')
  await page.keyboard.press('Enter')
  t.equal(await page.evaluate(() => document.activeElement?.id), 'main')
})

t.test('the home page reads the state of the four modes', async t => {
  const { url } = await serve(t)
  const { page } = await openPage(t)
  await page.goto(url)
  const readings = page.locator('[data-reading] .state')
  await readings.nth(3).waitFor()
  t.same(await readings.evaluateAll(all => all.map(({ dataset }) => dataset['state'])), ['fresh', 'fresh', 'fresh', 'live'])
  const texts = await page.locator('[data-reading]').allTextContents()
  for (const text of texts) t.match(text, /there in [\d.]+ ms, of which the server took [\d.]+ ms/)
  for (const text of texts.slice(0, 3)) t.match(text, /fresh, from memoryage 0 s, /)
  t.match(texts[3], 'rendered for this request')
})

t.test('the frozen page comes alive: its clock ticks while its time of birth stands still', async t => {
  const { url } = await serve(t)
  const { page, errors } = await openPage(t)
  await page.goto(`${url}/freshness`)
  await page.waitForSelector('html[data-hydrated]')

  const generated = await page.locator('[data-generated]').textContent()
  const clock = page.locator('[data-clock]')
  const before = await clock.textContent()
  await page.waitForFunction(text => document.querySelector('[data-clock]')?.textContent !== text, before)
  t.equal(await page.locator('[data-generated]').textContent(), generated)

  await page.reload()
  await page.waitForSelector('html[data-hydrated]')
  t.equal(await page.locator('[data-generated]').textContent(), generated, 'the HTML is the same after a reload')
  t.same(errors, [])
})

t.test('the slider moves a page from fresh to expired with the keyboard alone', async t => {
  const { url } = await serve(t)
  const { page } = await openPage(t)
  await page.goto(`${url}/freshness`)
  await page.waitForSelector('html[data-hydrated]')
  const state = page.locator('[data-out="state"]')
  const marker = page.locator('.marker line')
  t.equal(await state.textContent(), 'stale', 'as the HTML had it')

  await page.locator('#age').focus()
  await page.keyboard.press('Home')
  t.equal(await state.textContent(), 'fresh')
  t.equal(await marker.getAttribute('x1'), '0.00%')

  await page.keyboard.press('End')
  t.equal(await state.textContent(), 'expired')
  t.equal(await page.locator('[data-out="status"]').textContent(), '200')
  await page.getByLabel('fails').check()
  t.equal(await page.locator('[data-out="status"]').textContent(), '500')

  await page.locator('#staleIfError').focus()
  await page.keyboard.press('End')
  t.equal(await state.textContent(), 'stale-if-error', 'a longer window reaches the page')
  t.match(await page.locator('[data-out="cacheStatus"]').textContent(), 'detail=stale-if-error')

  await page.getByRole('button', { name: 'Back to the start' }).click()
  await page.waitForFunction(() => document.querySelector('[data-out="state"]')?.textContent === 'stale')
})

t.test('the pulse changes after its ttl, behind the visitor who finds it old', async t => {
  const { url, advance } = await serve(t)
  const { page } = await openPage(t)
  // With its HEAD the label is a second visitor; here only one is wanted.
  await page.route('**/label.*.js', route => route.fulfill({ contentType: 'text/javascript', body: '' }))
  const rendered = () => page.locator('[data-rendered] time').getAttribute('datetime')

  await page.goto(`${url}/pulse`)
  const first = await rendered()
  await page.reload()
  t.equal(await rendered(), first, 'fresh: nothing is rendered')

  advance(6)
  const renewed = regenerated('/pulse')
  await page.reload()
  t.equal(await rendered(), first, 'stale: the old page at once')
  await renewed
  await page.reload()
  t.not(await rendered(), first, 'the next visitor has the new one')
})

t.test('the label tells when the page on the screen is no longer the newest', async t => {
  const { url, advance } = await serve(t)
  const { page } = await openPage(t)
  await page.goto(`${url}/pulse`)
  await page.waitForSelector('[data-label][data-state]')

  advance(6)
  const renewed = regenerated('/pulse')
  await page.getByRole('button', { name: 'Ask the server again' }).click()
  await renewed
  await page.getByRole('button', { name: 'Ask the server again' }).click()
  await page.getByText('rendered again since').waitFor()
  t.equal(await label(page, 'age').textContent(), '0 s')
})

t.test('a notice is on the page at once, or after one old page, as its button says', async t => {
  const { url } = await serve(t)
  const { page, errors } = await openPage(t)
  await page.goto(`${url}/notice`)
  await page.getByLabel('Your notice').fill('<b>Milk</b> is out')
  await page.getByRole('button', { name: 'Pin it and wait for the page' }).click()
  await page.waitForURL('**/notice#pinned-at-once')
  t.match(await page.locator('.notices').textContent(), '<b>Milk</b> is out')
  t.equal(await page.locator('#pinned-at-once').isVisible(), true)

  const renewed = regenerated('/notice')
  await page.getByLabel('Your notice').fill('Milk is back')
  await page.getByRole('button', { name: 'Pin it', exact: true }).click()
  await page.waitForURL('**/notice#pinned')
  t.notMatch(await page.locator('.notices').textContent(), 'Milk is back')
  await renewed
  await page.getByRole('link', { name: 'Load the page again' }).click()
  await page.getByText('Milk is back').waitFor()
  t.same(errors, [])
})

t.test('the outage page stays on the screen while its source is off', async t => {
  const { url, advance } = await serve(t)
  const { page, errors } = await openPage(t)
  await page.goto(`${url}/outage`)
  const headline = await page.locator('[data-headline]').textContent()
  await page.getByRole('button', { name: 'Switch the source off' }).click()
  await page.waitForSelector('[data-source][data-off="true"]')

  advance(20)
  await page.getByRole('link', { name: 'Load the page again' }).click()
  await page.waitForSelector('[data-label][data-state="stale-if-error"]')
  t.equal(await page.locator('[data-headline]').textContent(), headline)
  t.same(errors, [])
})

t.test('a sale changes the pages that were made of its datum at the next loads, and no other', async t => {
  const { url } = await serve(t)
  const { page, errors } = await openPage(t)
  const left = () => page.locator('.headline [data-left]').textContent()
  const state = (path: string) => page.locator(`[data-page="${path}"][data-state]`).textContent()

  await page.goto(`${url}/stock/kettle`)
  t.equal(await left(), '7')
  for (const path of ['/stock', '/stock/lamp', '/stock/kettle', '/stock/atlas']) t.equal(await state(path), 'fresh', path)

  const renewed = regenerated('/stock/kettle')
  await page.getByRole('button', { name: 'Sell one', exact: true }).focus()
  await page.keyboard.press('Enter')
  await page.waitForURL('**/stock/kettle#sold')
  t.equal(await page.locator('#sold').isVisible(), true)
  t.equal(await left(), '7', 'the old page at once')
  t.equal(await state('/stock'), 'stale', 'the other page of the same datum')
  t.equal(await state('/stock/atlas'), 'fresh')
  t.equal(await page.locator('[data-fact="left"]').textContent(), '6', 'in the source')
  await renewed
  await page.locator('.flash:target').getByRole('link', { name: 'Load the page again' }).click()
  await page.waitForURL('**/stock/kettle')
  t.equal(await left(), '6', 'the next load has the new one')

  const room = regenerated('/stock')
  await page.goto(`${url}/stock`)
  await room
  await page.reload()
  t.equal(await page.locator('[data-left="kettle"]').textContent(), '6')
  t.equal(await page.locator('[data-left="atlas"]').textContent(), '3')
  t.same(errors, [])
})

t.test('a sale that nobody is told of changes no page', async t => {
  const { url } = await serve(t)
  const { page } = await openPage(t)
  await page.goto(`${url}/stock/atlas`)
  await page.getByRole('button', { name: 'Sell one and tell nobody' }).click()
  await page.waitForURL('**/stock/atlas#sold-silently')
  await page.locator('[data-page="/stock/atlas"][data-state="fresh"]').waitFor()
  t.equal(await page.locator('[data-fact="left"]').textContent(), '2')
  await page.reload()
  t.equal(await page.locator('.headline [data-left]').textContent(), '3')
})

t.test('a shop falls back to the defaults when its source fails, and recovers', async t => {
  const { url, advance } = await serve(t)
  const { page, errors } = await openPage(t)
  const origin = page.locator('[data-origin]')
  const theme = () => page.locator('.shop').getAttribute('data-theme')
  const from = () => page.locator('[data-from]').allTextContents()

  await page.goto(`${url}/tenants/harbour`)
  t.equal(await origin.textContent(), 'new')
  t.equal(await theme(), 'sea')
  const sign = page.locator('.shop-sign')
  const colour = await sign.evaluate(element => getComputedStyle(element).backgroundColor)

  advance(6)
  await page.reload()
  t.equal(await origin.textContent(), 'stale', 'the old value at once')

  await page.getByRole('button', { name: 'Make the source fail' }).click()
  await page.getByText('The source fails. It mends').waitFor()
  await page.getByRole('button', { name: 'Forget what is kept' }).click()
  await page.locator('[data-origin]', { hasText: 'defaults' }).waitFor()
  t.equal(await theme(), 'plain')
  t.not(await sign.evaluate(element => getComputedStyle(element).backgroundColor), colour)
  t.same(await from(), ['the default', 'the default', 'the default', 'the default'])
  t.match(await page.locator('[data-failed]').textContent(), /^[12]$/)

  await page.getByRole('button', { name: 'Mend the source' }).click()
  await page.getByText('The source works. An answer').waitFor()
  advance(31)
  await page.reload()
  t.equal(await theme(), 'sea')
  t.same(await from(), ['the source', 'the source', 'the default', 'the source'])
  t.same(errors, [])
})

t.test('the comparison draws four bars and measures again from the keyboard', async t => {
  const { url } = await serve(t)
  // Otherwise the bars would still be growing when they are measured.
  const { page, errors } = await openPage(t, { reducedMotion: 'reduce' })
  await page.goto(`${url}/compare`)
  const progress = (text: string) => page.locator('[data-progress]', { hasText: text }).waitFor()
  await progress('times as fast')

  const widths = await page.locator('[data-bars] .bar').evaluateAll(bars => bars.map(bar => bar.getBoundingClientRect().width))
  t.equal(widths.length, 4)
  for (const width of widths) t.ok(width > 0)
  t.equal(Math.max(...widths), widths[3], 'rendering each time takes longest')

  const medians = await page.locator('[data-cell="median"]').allTextContents()
  for (const median of medians) t.match(median, /^\d+\.\d ms$/)
  t.match(await page.locator('[data-cell="ratio"]').first().textContent(), /^[\d.]+× faster$/)
  t.match(await page.locator('[data-cell="cache-status"]').allTextContents(), [/hit/, /hit/, /hit/, /^(?!.*hit)/])

  await page.getByRole('button', { name: 'Measure again' }).focus()
  await page.keyboard.press('Enter')
  await progress('Measuring')
  await progress('times as fast')
  t.same(errors, [])
})
