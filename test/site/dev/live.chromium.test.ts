// Live reload as a developer meets it: a real browser, real files, the ways that editors save.
import { EventEmitter, once } from 'node:events'
import { mkdir, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join, relative } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { startDev, type Problem } from '../../../lib/site/dev/index.js'
import { openPage } from '../../helpers/chromium.js'

/** The strictest policy under which a page of the site has a script and a stylesheet at all. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"

interface LiveSite {
  url: string
  app: FastifyInstance
  dir: string
  file (name: string): string
  /** Renders so far, by path. */
  renders: Map<string, number>
  news: EventEmitter
  /** Held while set: renders wait for it. */
  gate: { wait: Promise<void> | null }
}

const PAGES: Record<string, string[]> = {
  '/': ['partials/header.html', 'partials/item.html'],
  '/about': ['partials/header.html']
}

/** A site of two pages made of partials, in which a partial that holds "<% oops" can't be compiled. */
async function startSite (t: Test, dir: string, port = 0): Promise<LiveSite> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  const file = (name: string) => join(dir, name)
  const renders = new Map<string, number>()
  const news = new EventEmitter()
  const gate: LiveSite['gate'] = { wait: null }

  const findProblem = async (names: string[]): Promise<Problem | undefined> => {
    for (const name of names) {
      const text = await readFile(file(name), 'utf8').catch(() => null)
      const at = text?.indexOf('<% oops') ?? -1
      if (text !== null && at === -1) continue
      return { message: text === null ? 'there is no such partial' : 'a tag is not closed', file: name, line: 1, column: at + 1, frame: `> 1 | ${text ?? ''}` }
    }
  }

  const dev = await startDev(app, {
    watch: [dir],
    onChange: async paths => {
      const names = paths.map(path => relative(dir, path))
      news.emit('change', names)
      const error = await findProblem(Object.values(PAGES).flat())
      return { changed: names.map(name => name.endsWith('.css') ? `asset:/static/${name}` : `partial:${name}`), error }
    },
    depsOf: page => PAGES[page] === undefined ? null : new Set([...PAGES[page].map(name => `partial:${name}`), 'asset:/static/app.css'])
  })

  app.addHook('onSend', async (_request, reply) => { reply.header('content-security-policy', POLICY) })
  for (const [path, names] of Object.entries(PAGES)) {
    app.get(path, async (request, reply) => {
      renders.set(path, (renders.get(path) ?? 0) + 1)
      const parts = await Promise.all(names.map(name => readFile(file(name), 'utf8').catch(() => '')))
      news.emit('render', path)
      await gate.wait
      void reply.type('text/html; charset=utf-8')
      const problem = await findProblem(names)
      if (problem !== undefined) return await reply.code(500).send(`<!doctype html><title>Error</title><p>broken</p>${dev.failed(request.url, problem)}`)
      return `<!doctype html><title>${path}</title><link rel="stylesheet" href="/static/app.css"><link rel="stylesheet" href="/static/other.css">` +
        `<main>${parts.join('')}</main><input><p id="tall"></p>${dev.partial}`
    })
  }
  app.get('/plain', async (_request, reply) => await reply.type('text/html').send('<!doctype html><title>plain</title><p>plain'))
  app.get('/favicon.ico', async (_request, reply) => await reply.code(204).send())
  app.get<{ Params: { name: string } }>('/static/:name', async ({ params }, reply) => {
    void reply.type('text/css').header('cache-control', 'max-age=60')
    return await readFile(file(params.name), 'utf8')
  })
  await app.listen({ port, host: '127.0.0.1' })
  return { url: `http://localhost:${(app.server.address() as AddressInfo).port}`, app, dir, file, renders, news, gate }
}

function folder (t: Test): string {
  return t.testdir({
    partials: { 'header.html': '<h1>first</h1>', 'item.html': '<b>first</b>' },
    'app.css': 'h1 { color: rgb(1, 0, 0) } #tall { height: 5000px }',
    'other.css': 'p { margin: 0 }'
  })
}

/** The page, with its stream open. */
async function visit (page: Page, url: string): Promise<void> {
  const isFollowing = page.waitForResponse(response => response.url().includes('/__dev/events'))
  await page.goto(url)
  await isFollowing
}

const color = (page: Page): Promise<string> => page.evaluate(() => getComputedStyle(document.querySelector('h1') as Element).color)
const waitForColor = (page: Page, wanted: string) => page.waitForFunction(value => getComputedStyle(document.querySelector('h1') as Element).color === value, wanted, { polling: 'raf' })
const waitForText = (page: Page, selector: string, text: string) => page.waitForFunction(([what, wanted]) => document.querySelector(what as string)?.textContent === wanted, [selector, text], { polling: 'raf' })
const overlayText = (page: Page): Promise<string | null> => page.evaluate(() => {
  const overlay = document.querySelector('#__dev')
  return overlay === null ? null : [...overlay.shadowRoot?.querySelectorAll('pre') ?? []].map(part => part.textContent).join('\n')
})
const waitForOverlay = (page: Page, isThere: boolean) => page.waitForFunction(wanted => (document.querySelector('#__dev') !== null) === wanted, isThere, { polling: 'raf' })

/** A second document is another world. */
const mark = (page: Page): Promise<void> => page.evaluate(() => { Object.assign(window, { isMarked: true }) })
const isMarked = (page: Page): Promise<boolean> => page.evaluate(() => 'isMarked' in window)

async function timed (t: Test, what: string, act: () => Promise<unknown>, seen: () => Promise<unknown>): Promise<void> {
  const start = performance.now()
  await act()
  await seen()
  t.comment(`${what}: ${(performance.now() - start).toFixed(0)} ms`)
}

type Save = (file: string, text: string) => Promise<void>

const saves: Record<string, Save> = {
  'a write in place': (file, text) => writeFile(file, text),
  'truncate, then write': async (file, text) => {
    await truncate(file)
    await writeFile(file, text)
  },
  'a temporary file that takes the place': async (file, text) => {
    await writeFile(`${file}.tmp`, text)
    await rename(`${file}.tmp`, file)
  },
  'vim: backup, new file, no backup': async (file, text) => {
    await rename(file, `${file}~`)
    await writeFile(file, text)
    await unlink(`${file}~`)
  },
  'delete, then write': async (file, text) => {
    await unlink(file)
    await writeFile(file, text)
  }
}

t.test('a changed stylesheet is swapped in place: inputs, scroll and the document stay', async t => {
  const { url, file, renders } = await startSite(t, folder(t))
  const { page, errors } = await openPage(t)
  await visit(page, `${url}/`)
  await mark(page)
  await page.fill('input', 'half a sentence')
  await page.evaluate(() => {
    scrollTo(0, 700)
    // Of a script that has not decided yet.
    document.head.prepend(Object.assign(document.createElement('link'), { rel: 'stylesheet' }))
  })

  let red = 10
  for (const [name, save] of Object.entries(saves)) {
    red++
    await timed(t, `css, ${name}: painted after`, () => save(file('app.css'), `h1 { color: rgb(${red}, 0, 0) } #tall { height: 5000px }`), () => waitForColor(page, `rgb(${red}, 0, 0)`))
    t.equal(await page.inputValue('input'), 'half a sentence')
    t.equal(await page.evaluate(() => scrollY), 700)
  }
  t.ok(await isMarked(page))
  t.equal(renders.get('/'), 1)
  await page.waitForFunction(() => document.querySelectorAll('link[href]').length === 2, null, { polling: 'raf' })
  t.same(await page.locator('link[href]').evaluateAll(links => links.map(link => new URL((link as HTMLLinkElement).href).pathname)), ['/static/app.css', '/static/other.css'], 'in their order')
  t.match(await page.locator('link[href]').nth(1).getAttribute('href'), /^\/static\/other\.css$/, 'others are left alone')
  t.same(errors, [])
})

t.test('stylesheets that change faster than they load leave one of each, the newest', async t => {
  const { url, file } = await startSite(t, folder(t))
  const { page } = await openPage(t)
  await visit(page, `${url}/`)
  let open = (): void => {}
  const held = new Promise<void>(resolve => { open = resolve })
  let asked = 0
  await page.route('**/static/app.css?*', async route => {
    asked++
    await held
    await route.continue()
  })
  for (const red of [21, 22, 23]) {
    const isAsked = page.waitForRequest(/app\.css\?/)
    await writeFile(file('app.css'), `h1 { color: rgb(${red}, 0, 0) }`)
    await isAsked
    t.equal(await color(page), 'rgb(1, 0, 0)', 'the old one is there until the new one is')
  }
  open()
  await waitForColor(page, 'rgb(23, 0, 0)')
  await page.waitForFunction(() => document.querySelectorAll('link').length === 2, null, { polling: 'raf' })
  t.equal(asked, 3)
})

t.test('a changed partial reloads the pages that use it, and no others', async t => {
  const { url, file, renders } = await startSite(t, folder(t))
  const { page: home, errors } = await openPage(t)
  const about = await home.context().newPage()
  await visit(home, `${url}/`)
  await visit(about, `${url}/about`)
  await mark(about)

  let count = 0
  for (const [name, save] of Object.entries(saves)) {
    const text = `item ${++count}`
    const isFollowing = home.waitForResponse(response => response.url().includes('/__dev/events'))
    await timed(t, `partial, ${name}: reloaded after`, () => save(file('partials/item.html'), `<b>${text}</b>`), () => waitForText(home, 'b', text))
    await isFollowing
  }
  t.ok(await isMarked(about))
  t.equal(renders.get('/about'), 1)

  await writeFile(file('partials/header.html'), '<h1>both</h1>')
  await Promise.all([waitForText(home, 'h1', 'both'), waitForText(about, 'h1', 'both')])
  t.notOk(await isMarked(about))
  t.same(errors, [])
})

t.test('a folder that is removed and made again at once is followed on', async t => {
  const { url, file } = await startSite(t, folder(t))
  const { page } = await openPage(t)
  await visit(page, `${url}/`)
  for (const text of ['second', 'third']) {
    const isFollowing = page.waitForResponse(response => response.url().includes('/__dev/events'))
    await timed(t, `rm -r and again, ${text}: reloaded after`, async () => {
      if (text === 'second') {
        await rm(file('partials'), { recursive: true })
        await mkdir(file('partials'))
        await writeFile(file('partials/header.html'), '<h1>first</h1>')
      }
      await writeFile(file('partials/item.html'), `<b>${text}</b>`)
    }, () => waitForText(page, 'b', text))
    await isFollowing
  }
})

t.test('a broken partial is shown over the page, which heals when it is mended', async t => {
  const { url, file, renders } = await startSite(t, folder(t))
  const { page, errors } = await openPage(t)
  await visit(page, `${url}/`)
  const about = await page.context().newPage()
  await visit(about, `${url}/about`)
  await page.fill('input', 'half a sentence')

  await timed(t, 'error overlay after', () => writeFile(file('partials/item.html'), '<b>second</b><% oops'), () => waitForOverlay(page, true))
  t.equal(await overlayText(page), 'partials/item.html:1:14\na tag is not closed\n> 1 | <b>second</b><% oops')
  t.equal(await page.inputValue('input'), 'half a sentence', 'the old page is beneath')
  t.equal(renders.get('/'), 1)
  t.equal(await overlayText(about), null)
  const box = await page.locator('#__dev').boundingBox()
  t.same(box, { x: 0, y: 0, ...page.viewportSize() }, 'it covers all')
  t.equal(await page.evaluate(() => getComputedStyle(document.querySelector('#__dev')?.shadowRoot?.querySelector('pre') as Element).whiteSpace), 'pre-wrap', 'its styles are in force')

  await timed(t, 'healed after', () => writeFile(file('partials/item.html'), '<b>second</b>'), () => waitForText(page, 'b', 'second'))
  t.equal(await overlayText(page), null)
  t.same(errors, [], 'the policy has refused nothing')
})

t.test('the overlay can be put aside', async t => {
  const { url, file } = await startSite(t, folder(t))
  const { page } = await openPage(t)
  await visit(page, `${url}/`)
  await writeFile(file('partials/item.html'), '<% oops')
  await waitForOverlay(page, true)
  await page.getByRole('button', { name: 'Hide' }).click()
  t.equal(await overlayText(page), null)
})

t.test('an error page becomes the page when the cause is mended, and the cause is remembered', async t => {
  const { url, file } = await startSite(t, folder(t))
  const { page } = await openPage(t)
  await visit(page, `${url}/about`)
  await writeFile(file('partials/header.html'), '<% oops')
  await waitForOverlay(page, true)

  const isFollowing = page.waitForResponse(response => response.url().includes('/__dev/events'))
  await page.reload()
  await isFollowing
  t.equal(await page.title(), 'Error')
  await timed(t, 'error page healed after', () => writeFile(file('partials/header.html'), '<h1>mended</h1>'), () => waitForText(page, 'h1', 'mended'))
})

t.test('a change that comes while a page is on its way is not lost', async t => {
  const { url, file, news, gate } = await startSite(t, folder(t))
  const { page } = await openPage(t)
  await visit(page, `${url}/`)

  let open = (): void => {}
  gate.wait = new Promise(resolve => { open = resolve })
  const rendering = once(news, 'render')
  await writeFile(file('partials/item.html'), '<b>second</b>')
  await rendering
  // The render has read the second state; the third one finds nobody who follows.
  const changed = once(news, 'change')
  await writeFile(file('partials/item.html'), '<b>third</b>')
  await changed
  gate.wait = null
  open()
  await waitForText(page, 'b', 'third')
})

t.test('another server at the same place is noticed', async t => {
  const dir = folder(t)
  const first = await startSite(t, dir)
  const { page } = await openPage(t)
  await visit(page, `${first.url}/`)
  await mark(page)
  await first.app.close()
  const second = await startSite(t, dir, Number(new URL(first.url).port))
  await timed(t, 'restart noticed after', async () => {}, () => page.waitForFunction(() => !('isMarked' in window)))
  t.equal(second.renders.get('/'), 1)
})

t.test('a page in the back/forward cache is not held out of it, and catches up when it comes back', async t => {
  const { url, file, news } = await startSite(t, folder(t))
  const { page } = await openPage(t, {}, { ignoreDefaultArgs: ['--disable-back-forward-cache'] })
  await visit(page, `${url}/`)
  await page.evaluate(() => { addEventListener('pageshow', event => { if (event.persisted) sessionStorage.setItem('wasKept', 'yes') }) })
  await page.goto(`${url}/plain`)
  const changed = once(news, 'change')
  await writeFile(file('partials/item.html'), '<b>second</b>')
  await changed
  await page.goBack({ waitUntil: 'commit' })
  await waitForText(page, 'b', 'second')
  t.equal(await page.evaluate(() => sessionStorage.getItem('wasKept')), 'yes')
})
