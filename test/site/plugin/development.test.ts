import { readFile } from 'node:fs/promises'
import t from 'tap'
import { openStream } from '../../helpers/event-stream.js'
import { startSite } from '../../helpers/site.js'

const FILES = {
  'pages/index.html': '<h1>Home</h1><% generated_livereload_script.html %/>',
  'pages/broken.html': '<% none.html %/>',
  'partials/header.html': 'header'
}
const DEV = { isr: { enabled: false }, site: { dev: true } }

t.test('in development every request is rendered anew, and the page brings the live reload', async (t) => {
  const { raw, port, write } = await startSite(t, FILES, DEV)
  const { body, headers } = await raw('/')
  const [, source = ''] = /<script [^>]*src="(\/__dev\/[^"]+)"/.exec(body.toString()) ?? []
  // Only this machine, and only under its own names, may follow.
  t.equal((await fetch(`http://127.0.0.1:${port}${source}`)).status, 200)
  t.equal((await raw(source)).status, 403)
  t.match(headers['cache-status'], /disabled/)
  write('pages/index.html', '<h1>New</h1>')
  t.equal((await raw('/')).body.toString(), '<h1>New</h1>', 'also before the watcher has noticed')
})

t.test('in development an error is shown, with its place, and the page heals itself', async (t) => {
  const { raw } = await startSite(t, FILES, DEV)
  const { status, body } = await raw('/broken')
  t.equal(status, 500)
  t.match(body.toString(), 'pages/broken.html:1:')
  t.match(body.toString(), /<script [^>]*src="\/__dev\//)
})

t.test('in production there is nothing of it: no script, no route', async (t) => {
  const { raw } = await startSite(t, FILES)
  t.equal((await raw('/')).body.toString(), '<h1>Home</h1>')
  for (const target of ['/__dev/client.js', '/__dev/events', '/__dev/']) t.equal((await raw(target)).status, 404)
})

t.test('nothing that a site imports leads to the code of development, unless it is asked for', async (t) => {
  const seen = new Set<string>()
  const follow = async (module: URL): Promise<void> => {
    if (seen.has(module.href)) return
    seen.add(module.href)
    const code = await readFile(module, 'utf8')
    for (const [, specifier = ''] of code.matchAll(/^(?:import|export)\b[^'";]*?from '(\.[^']+)'|^import '(\.[^']+)'/gm)) await follow(new URL(specifier, module))
  }
  await follow(new URL('../../../lib/site/index.js', import.meta.url))
  t.ok(seen.size > 20, 'it found the modules')
  t.same([...seen].filter(module => module.includes('/site/dev/') || /assets\/build\.js$/.test(module)), [])
})

t.test('a page that refers to the live reload by itself fails the build', async (t) => {
  const { app, warnings } = await startSite(t, { 'pages/index.html': '<script src="/__dev/client.js"></script>' })
  const report = await app.isr.prerender({ dir: t.testdir({}) })
  t.equal(report.ok, false)
  t.ok(warnings().some(message => message.includes("the page / refers to '/__dev/'")))
})

t.test('a page that writes about the live reload is no reason for a build to fail, however it refers is one', async (t) => {
  const files = {
    'pages/text.md': '# About `/__dev/`\n\n```html\n<script src="/__dev/client.js"></script>\n```\n\n/__dev/events > x',
    'pages/link.html': '<p>x</p><a\n href=/__dev/events>x</a>',
    'pages/module.html': "<script type=\"module\">if (1 < 2) import('/__dev/client.js')</script>",
    'pages/after.html': '<script>1</script> /__dev/'
  }
  const { app } = await startSite(t, files)
  const report = await app.isr.prerender({ dir: t.testdir({}) })
  t.same(report.pages.filter(({ error }) => error !== undefined).map(({ path }) => path).sort(), ['/link', '/module'])
})

t.test('a style sheet or script that another imports, and one in Sass, are told to the pages that show it', async (t) => {
  const { port, write } = await startSite(t, {
    'pages/index.html': '<link rel="stylesheet" href="{{+ /static/css/app.css }}"><script type="module" src="{{+ /static/js/app.js }}"></script>',
    'assets/css/app.scss': 'a { b: c }',
    'assets/js/app.ts': '',
    'assets/js/_part.ts': ''
  }, { ...DEV, site: { ...DEV.site, static: {} } })
  t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200)
  const stream = await openStream(t, `http://127.0.0.1:${port}/__dev/events?${new URLSearchParams({ page: '/', state: 'new' })}`, { host: `localhost:${port}` })
  t.match(await stream.next(), { event: 'hello' })
  write('assets/css/app.scss', 'a { b: d }')
  t.match(await stream.next(), { event: 'css', data: { paths: ['/static/css/app.css'] } })
  write('assets/js/_part.ts', 'export {}')
  t.match(await stream.next(), { event: 'reload' })
})
