import { channel } from 'node:diagnostics_channel'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import example, { type ExampleOptions } from '../example-app/app.js'
import { html, trusted } from '../example-app/cluster/html.js'
import type { Mode } from '../example-app/modes.js'
import { answerAt, stateAt } from '../example-app/site/assets/js/freshness.js'
import { exampleAssets } from './helpers/example-assets.js'

const modeOf: Record<string, Mode> = {
  '/': 'prerendered',
  '/how-it-works': 'prerendered',
  '/freshness': 'hydrated',
  '/pulse': 'isr',
  '/request': 'dynamic',
  '/notice': 'prerendered',
  '/outage': 'isr',
  '/stock': 'prerendered',
  '/stock/lamp': 'prerendered',
  '/stock/kettle': 'prerendered',
  '/stock/atlas': 'prerendered',
  '/tenants/harbour': 'dynamic',
  '/tenants/orchard': 'dynamic',
  '/tenants/bakery': 'dynamic',
  '/guides': 'prerendered',
  '/about': 'prerendered',
  '/features': 'prerendered',
  '/compare': 'hydrated',
  '/compare/prerendered': 'prerendered',
  '/compare/hydrated': 'hydrated',
  '/compare/isr': 'isr',
  '/compare/dynamic': 'dynamic',
  '/guides/when-not-to-use-it': 'prerendered',
  '/guides/choosing-a-ttl': 'prerendered',
  '/guides/revalidate-purge-refresh': 'prerendered',
  '/guides/when-rendering-fails': 'prerendered',
  '/guides/pages-are-anonymous': 'prerendered'
}
const pages = Object.keys(modeOf)

async function start (t: Test, options: ExampleOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  // Unwrapped, or the decorators would be out of reach here.
  await app.register(fp(example), { baseUrl: 'http://example', dir: t.testdir(), assets: await exampleAssets(), ...options })
  await app.ready()
  return app
}

function adjustableClock (read: () => number = Date.now) {
  let offset = 0
  return {
    now: () => read() + offset,
    advance: (seconds: number) => { offset += seconds * 1000 }
  }
}

/** Resolves when a page has been rendered again behind a visitor. */
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

async function post (app: FastifyInstance, url: string, fields: Record<string, string>, headers: Record<string, string> = {}) {
  return app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: new URLSearchParams(fields).toString()
  })
}

t.test('every page answers and wears the label of its mode', async t => {
  const app = await start(t)
  for (const path of pages) {
    const { statusCode, headers, body } = await app.inject(path)
    t.equal(statusCode, 200, path)
    t.equal(headers['content-type'], 'text/html; charset=utf-8', path)
    t.equal(/data-badge="(\w+)"/.exec(body)?.[1], modeOf[path], path)
  }
})

t.test('after a build Cache-Status confirms what the label says', async t => {
  // Time stands still: a slow machine makes no page old.
  const now = Date.now()
  const app = await start(t, { clock: () => now })
  await app.isr.prerender()
  for (const path of pages) {
    const { headers } = await app.inject(path)
    if (modeOf[path] === 'dynamic') t.notMatch(headers['cache-status'] ?? '', /hit|stored/, path)
    else t.match(headers['cache-status'], /^fastify-isr; hit(; ttl=\d+)?$/, path)
  }
})

t.test('the build renders every page that has the flag, and no other', async t => {
  const app = await start(t)
  const report = await app.isr.prerender()
  t.same(report.problems, [])
  t.equal(report.ok, true)
  const files = ['/robots.txt', '/sitemap.xml', '/feed.xml', '/repository']
  // The blog and the documentation have tests of their own.
  t.same(report.pages.map(({ path }) => path).filter(path => !/^\/(?:blog|docs)(?:\/|$)/.test(path)).sort(), [...pages.filter(path => modeOf[path] !== 'dynamic'), ...files].sort())
})

t.test('no link and no source on any page leads nowhere', async t => {
  const app = await start(t)
  const found = new Map<string, string>()
  for (const path of pages) {
    const { body } = await app.inject(path)
    for (const [, address] of body.matchAll(/ (?:href|src|action|formaction)="([^"]*)"/g)) {
      const url = new URL(address ?? '', `http://example${path}`)
      t.equal(url.host, 'example', `${address} on ${path}`)
      found.set(url.pathname + url.hash, path)
    }
  }
  for (const [address, path] of found) {
    const [pathname, fragment] = address.split('#')
    if (pathname === '/notice/at-once') continue // only takes forms
    const { statusCode, body } = await app.inject(pathname ?? '')
    t.equal(statusCode, pathname === '/about-us' ? 301 : 200, `${address} on ${path}`)
    if (fragment) t.match(body, `id="${fragment}"`, `${address} on ${path}`)
  }
})

t.test('no page needs more than a strict content security policy', async t => {
  const app = await start(t)
  for (const path of [...pages, '/nothing-here']) {
    const { headers, body } = await app.inject(path)
    t.match(headers['content-security-policy'], /^default-src 'self';/, path)
    t.notMatch(body, /<style|\sstyle=|<script(?![^>]*\ssrc="\/static\/)|\son[a-z]+=|javascript:/i, path)
  }
})

t.test('a value in a template is escaped unless it is markup already', async t => {
  const hostile = '<script>alert("1")</script>&\''
  t.equal(String(html`<p title="${hostile}">${hostile}</p>`),
    '<p title="&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;</p>')
  t.equal(String(html`<ul>${['<a>', html`<b>${'<c>'}</b>`]}</ul>`), '<ul>&lt;a&gt;<b>&lt;c&gt;</b></ul>')
  t.equal(String(html`${trusted('<hr>')}${undefined}${null}${false}${0}`), '<hr>0')
})

t.test('every page has what browsers, readers and search engines look for, and error pages tell these to stay away', async t => {
  const app = await start(t)
  const titles = new Set<string>()
  for (const path of pages) {
    const { body } = await app.inject(path)
    const find = (pattern: RegExp): string => pattern.exec(body)?.[1] ?? ''
    t.match(body, /^<!doctype html>\n<html lang="en">/, path)
    t.match(body, '<meta name="viewport" content="width=device-width, initial-scale=1">', path)
    t.equal(find(/<link rel="canonical" href="([^"]*)">/), `http://example${path}`)
    t.ok(find(/<meta name="description" content="([^"]*)">/).length > 20, path)
    t.equal(body.match(/<h1>/g)?.length, 1, path)
    t.match(body, /<link rel="icon" href="\/static\/img\/favicon\.[0-9a-f]{16}\.svg"/, path)
    t.match(body, '<a class="skip" href="#main">', path)
    if (!path.startsWith('/compare/')) titles.add(find(/<title>([^<]*)</))
  }
  t.equal(titles.size, pages.length - 4, 'no two pages have one title, but the four that are one')
  const { body } = await app.inject('/nothing-here')
  t.match(body, '<meta name="robots" content="noindex">')
  t.notMatch(body, /canonical|data-label/)
})

t.test('what has moved leads to where it is', async t => {
  const app = await start(t)
  const { statusCode, headers } = await app.inject('/about-us?from=mail')
  t.equal(statusCode, 301)
  t.equal(headers.location, '/about?from=mail')
})

t.test('every answer says what it took here, and no stored page says so for others', async t => {
  const app = await start(t)
  for (let visit = 0; visit < 2; visit++) {
    const { headers } = await app.inject('/pulse')
    t.match(headers['server-timing'], /^app;dur=\d+\.\d\d$/)
  }
  const { headers } = await app.inject({ method: 'HEAD', url: '/request' })
  t.match(headers['server-timing'], /^app;dur=/)
})

t.test('the request page shows a hostile user agent as text', async t => {
  const app = await start(t)
  const { body } = await app.inject({ url: '/request?<x>', headers: { 'user-agent': '<img src=x onerror=alert(1)>' } })
  t.match(body, '&lt;img src=x onerror=alert(1)&gt;')
  t.notMatch(body, '<img')
  t.notMatch(body, '<x>')
})

t.test('the four handlers of the comparison answer alike but for mode and time', async t => {
  const app = await start(t)
  const bodies = await Promise.all(['prerendered', 'hydrated', 'isr', 'dynamic'].map(async mode => {
    const { body } = await app.inject(`/compare/${mode}`)
    return body.replace(/<aside[^]*<\/aside>/, '').replace(`<body data-mode="${mode}" >`, '').replaceAll(`/compare/${mode}"`, '"')
  }))
  t.equal(bodies[0]?.match(/<li><code>[0-9a-f]{16}<\/code>/g)?.length, 64)
  for (const body of bodies) t.equal(body, bodies[0])
})

t.test('a guide, an article and a tenant that do not exist are not found, and neither is an unknown page', async t => {
  const app = await start(t)
  for (const path of ['/guides/nothing', '/stock/nothing', '/stock/nothing/now', '/tenants/nobody', '/nothing']) {
    const { statusCode, body } = await app.inject(path)
    t.equal(statusCode, 404, path)
    t.match(body, 'There is no such page', path)
  }
})

t.test('assets are served under names that tell their content, and nothing else is', async t => {
  const app = await start(t)
  for (const name of ['css/site.css', 'js/label.js', 'js/freshness.js', 'img/favicon.svg']) {
    const url = app.site.asset(`/static/${name}`)
    t.match(url, /^\/static\/\w+\/\w+\.[0-9a-f]{16}\.\w+$/)
    const { statusCode, headers } = await app.inject(url)
    t.equal(statusCode, 200, name)
    t.match(headers['cache-control'], 'immutable', name)
  }
  for (const name of ['', '../app.js', '%2e%2e/app.js', 'app.js', 'js/_reading.js', 'assets.json', '.gitignore']) {
    const { statusCode } = await app.inject(`/static/${name}`)
    t.ok(statusCode === 404 || statusCode === 403, `${name} is ${statusCode}`)
  }
})

t.test('the pulse is rendered once per ttl, behind the visitor who finds it old', async t => {
  // By itself it stands still: a slow machine makes no page old.
  const begin = Date.now()
  const clock = adjustableClock(() => begin)
  const app = await start(t, { clock: clock.now })
  const renders = async () => Number(/data-renders>(\d+)</.exec((await app.inject('/pulse')).body)?.[1])

  t.equal(await renders(), 1)
  clock.advance(4)
  t.equal(await renders(), 1)
  clock.advance(2)
  const renewed = regenerated('/pulse')
  t.equal(await renders(), 1)
  await renewed
  t.equal(await renders(), 2)
})

t.test('pinning a notice changes the page for the visitor after the next', async t => {
  const app = await start(t)
  t.match((await app.inject('/notice')).body, 'The board is empty')

  const { statusCode, headers } = await post(app, '/notice', { text: 'Milk is out' })
  t.equal(statusCode, 303)
  t.equal(headers.location, '/notice#pinned')

  const renewed = regenerated('/notice')
  const stale = await app.inject('/notice')
  t.match(stale.body, 'The board is empty')
  t.match(stale.headers['cache-status'], /detail=stale/)
  await renewed
  t.match((await app.inject('/notice')).body, 'Milk is out')
})

t.test('pinning a notice at once changes the page for the next visitor', async t => {
  const app = await start(t)
  await app.inject('/notice')
  const { headers } = await post(app, '/notice/at-once', { text: 'Milk is back' })
  t.equal(headers.location, '/notice#pinned-at-once')
  t.match((await app.inject('/notice')).body, 'Milk is back')
})

t.test('markup in a notice is shown as text', async t => {
  const app = await start(t)
  await post(app, '/notice/at-once', { text: '<script>alert(1)</script>' })
  const { body } = await app.inject('/notice')
  t.match(body, '&lt;script&gt;alert(1)&lt;/script&gt;')
  t.notMatch(body, '<script>alert')
})

t.test('an empty or foreign notice is refused and the page is left as it is', async t => {
  const app = await start(t)
  await app.inject('/notice')
  t.equal((await post(app, '/notice', { text: '   ' })).statusCode, 422)
  t.equal((await post(app, '/notice', {})).statusCode, 422)
  t.equal((await post(app, '/notice', { text: 'x'.repeat(3000) })).statusCode, 413)
  t.equal((await post(app, '/notice', { text: 'from elsewhere' }, { 'sec-fetch-site': 'cross-site' })).statusCode, 403)
  t.match((await app.inject('/notice')).headers['cache-status'], /^fastify-isr; hit$/)
})

t.test('the outage page survives its source', async t => {
  const clock = adjustableClock()
  const app = await start(t, { clock: clock.now })
  t.match((await app.inject('/outage')).body, 'Good news number 1')

  t.equal((await post(app, '/outage', { source: 'off' })).statusCode, 303)
  const { secondsOff } = (await app.inject('/outage/source')).json()
  t.ok(secondsOff > 0 && secondsOff <= 120, `${secondsOff} s`)

  clock.advance(20)
  const kept = await app.inject('/outage')
  t.equal(kept.statusCode, 200)
  t.match(kept.body, 'Good news number 1')
  t.match(kept.headers['cache-status'], /detail=stale-if-error/)

  await post(app, '/outage', { source: 'on' })
  t.equal((await app.inject('/outage/source')).json().secondsOff, 0)
})

t.test('the outage page is an error page when there is no older one', async t => {
  const app = await start(t)
  await post(app, '/outage', { source: 'off' })
  const { statusCode, body } = await app.inject('/outage')
  t.equal(statusCode, 500)
  t.match(body, 'This page could not be rendered')
  t.notMatch(body, 'switched off', 'the message of the error stays in the log')
})

const left = async (app: FastifyInstance, path: string, id: string) =>
  Number(new RegExp(`data-left="${id}">(\\d+)<`).exec((await app.inject(path)).body)?.[1])

t.test('a sale revalidates a datum, and with it the pages that were made of it', async t => {
  const app = await start(t)
  await app.isr.prerender()
  t.equal(await left(app, '/stock/kettle', 'kettle'), 7)
  t.equal(await left(app, '/stock', 'kettle'), 7)
  t.equal(await left(app, '/stock/atlas', 'atlas'), 3)

  const { statusCode, headers } = await post(app, '/stock/kettle', { tell: 'yes' })
  t.equal(statusCode, 303)
  t.equal(headers.location, '/stock/kettle#sold')
  const { pages } = (await app.inject('/stock/atlas/now')).json()
  t.same(pages, [
    { path: '/stock', state: 'stale' },
    { path: '/stock/lamp', state: 'fresh' },
    { path: '/stock/kettle', state: 'stale' },
    { path: '/stock/atlas', state: 'fresh' }
  ])

  for (const path of ['/stock', '/stock/kettle']) {
    const renewed = regenerated(path)
    t.equal(await left(app, path, 'kettle'), 7, `${path}: the old page at once`)
    await renewed
    t.equal(await left(app, path, 'kettle'), 6, `${path}: the next visitor has the new one`)
  }
  const { tags } = await app.isr.inspect('/stock/kettle')
  t.same(tags.filter(tag => !/^(?:tpl|page):/.test(tag)), [], 'no tag that somebody wrote: templates and paths have theirs')
})

t.test('a sale that nobody is told of changes the source and no page', async t => {
  const app = await start(t)
  await app.isr.prerender()
  const { reads } = (await app.inject('/stock/atlas/now')).json()
  t.equal((await post(app, '/stock/atlas', { tell: 'no' })).headers.location, '/stock/atlas#sold-silently')
  t.match((await app.inject('/stock/atlas/now')).json(), { left: 2, reads })
  t.match((await app.inject('/stock/atlas')).headers['cache-status'], /^fastify-isr; hit$/)
  t.equal(await left(app, '/stock/atlas', 'atlas'), 3)

  const renewed = regenerated('/stock/atlas')
  await post(app, '/stock/atlas', { tell: 'yes' })
  await app.inject('/stock/atlas')
  await renewed
  t.equal(await left(app, '/stock/atlas', 'atlas'), 1)
})

t.test('nothing is sold from elsewhere, nor what is not there', async t => {
  const app = await start(t)
  t.equal((await post(app, '/stock/lamp', { tell: 'yes' }, { 'sec-fetch-site': 'cross-site' })).statusCode, 403)
  t.equal((await post(app, '/stock/nothing', { tell: 'yes' })).statusCode, 404)
  t.equal((await app.inject('/stock/lamp/now')).json().left, 12)
})

async function shop (app: FastifyInstance, tenant: string) {
  const { body } = await app.inject(`/tenants/${tenant}`)
  const match = (pattern: RegExp) => pattern.exec(body)?.[1]
  return {
    origin: match(/data-origin>(\w+)</),
    theme: match(/data-theme="(\w+)"/),
    asked: Number(match(/data-asked>(\d+)</)),
    failed: Number(match(/data-failed>(\d+)</)),
    from: [...body.matchAll(/data-from="(\w+)"/g)].map(([, from]) => from)
  }
}

t.test('the settings of a tenant are kept, refreshed behind, and those of another are others', async t => {
  const clock = adjustableClock()
  const app = await start(t, { clock: clock.now })
  const mixed = ['source', 'source', 'default', 'source']
  t.same(await shop(app, 'harbour'), { origin: 'new', theme: 'sea', asked: 1, failed: 0, from: mixed })
  t.same(await shop(app, 'harbour'), { origin: 'fresh', theme: 'sea', asked: 1, failed: 0, from: mixed })
  t.match(await shop(app, 'orchard'), { origin: 'new', theme: 'moss', asked: 1 })

  clock.advance(6)
  t.match(await shop(app, 'harbour'), { origin: 'stale', theme: 'sea' })
  let later = await shop(app, 'harbour')
  while (later.origin === 'stale') {
    await delay(20)
    later = await shop(app, 'harbour')
  }
  // 'new' for who comes in the very moment in which the source answers.
  t.match(later, { origin: /^(?:fresh|new)$/, asked: 2 }, 'asked once, however many came meanwhile')
})

t.test('when their source fails, settings are kept as long as they may be; then the defaults apply', async t => {
  const clock = adjustableClock()
  const app = await start(t, { clock: clock.now })
  await shop(app, 'harbour')
  t.equal((await post(app, '/tenants/harbour', { do: 'break' })).headers.location, '/tenants/harbour#source')
  t.match(await shop(app, 'harbour'), { origin: 'fresh', theme: 'sea', asked: 1 })

  clock.advance(20)
  const defaults = ['default', 'default', 'default', 'default']
  t.same(await shop(app, 'harbour'), { origin: 'defaults', theme: 'plain', asked: 2, failed: 1, from: defaults })
  t.same(await shop(app, 'harbour'), { origin: 'defaults', theme: 'plain', asked: 2, failed: 1, from: defaults }, 'not asked again at once')

  await post(app, '/tenants/harbour', { do: 'mend' })
  clock.advance(2)
  t.match(await shop(app, 'harbour'), { origin: 'new', theme: 'sea', asked: 3, failed: 1 })
})

t.test('what is kept of a tenant can be forgotten, but not from elsewhere', async t => {
  const app = await start(t)
  await shop(app, 'bakery')
  t.equal((await post(app, '/tenants/bakery', { do: 'forget' }, { 'sec-fetch-site': 'cross-site' })).statusCode, 403)
  t.match(await shop(app, 'bakery'), { origin: 'fresh', asked: 1 })
  await post(app, '/tenants/bakery', { do: 'forget' })
  t.match(await shop(app, 'bakery'), { origin: 'new', asked: 2 })
  t.equal((await post(app, '/tenants/nobody', { do: 'forget' })).statusCode, 404)
})

t.test('with ISR switched off every request is rendered', async t => {
  const app = await start(t, { enabled: false })
  const renders = async () => /data-renders>(\d+)</.exec((await app.inject('/pulse')).body)?.[1]
  t.equal(await renders(), '1')
  t.equal(await renders(), '2')
})

t.test('a window ends where the next one begins', async t => {
  const windows = { ttl: 60, staleWhileRevalidate: 120, staleIfError: 240 }
  const states = [0, 59, 60, 179, 180, 419, 420, 10_000].map(age => stateAt(age, windows))
  t.same(states, ['fresh', 'fresh', 'stale', 'stale', 'stale-if-error', 'stale-if-error', 'expired', 'expired'])
  t.equal(stateAt(0, { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 }), 'expired')
})

t.test('only an expired page lets a failed render through to the visitor', async t => {
  const windows = { ttl: 60, staleWhileRevalidate: 120, staleIfError: 240 }
  t.same([0, 60, 180, 420].map(age => answerAt(age, windows, 'fails').status), [200, 200, 200, 500])
  t.same([0, 60, 180, 420].map(age => answerAt(age, windows, 'works').status), [200, 200, 200, 200])
})
