import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import t, { type Test } from 'tap'
import example from '../example-app/app.js'
import { siteRoot } from '../example-app/paths.js'
import { exampleAssets } from './helpers/example-assets.js'

interface Line { level: number, msg: string, file?: string, line?: number, column?: number, frame?: string }

/** The example with a site of its own, whose files may be broken. */
async function start (t: Test): Promise<{ app: FastifyInstance, errors: Line[], edit: (file: string, from: string, to: string) => void }> {
  const folder = t.testdir()
  const root = path.join(folder, 'site')
  cpSync(siteRoot, root, { recursive: true })
  const errors: Line[] = []
  const app = Fastify({ logger: { level: 'error', stream: { write: text => { errors.push(JSON.parse(text) as Line) } } } })
  t.teardown(() => app.close())
  await app.register(fp(example), { baseUrl: 'http://example', dir: path.join(folder, 'pages'), root, assets: await exampleAssets() })
  await app.ready()
  return {
    app,
    errors,
    edit (file, from, to) {
      const text = readFileSync(path.join(root, file), 'utf8')
      if (!text.includes(from)) throw new Error(`${file} has no ${from}`)
      writeFileSync(path.join(root, file), text.replace(from, to))
    }
  }
}

const LEAKS = /views\/\w|unclosed|unknown_value|malformed|\.html:\d|<%|\{\{=/

t.test('a template that breaks leaves every page that was good as it was; the log has file, line and frame, the visitor nothing', async t => {
  const { app, errors, edit } = await start(t)
  await app.isr.prerender()
  t.match((await app.inject('/pulse')).body, 'The pulse of this server')
  t.match((await app.inject('/about')).body, 'Where things are')

  edit('partials/views/pulse.html', '{{= uptime}}', '{{= uptim}}')
  edit('pages/about.html', '{{= page.title}}', '{{= page.titel}}')
  await app.site.invalidate()
  for (let visit = 0; visit < 3; visit++) {
    for (const [url, text] of [['/pulse', 'The pulse of this server'], ['/about', 'Where things are']] as const) {
      await app.isr.revalidate({ path: url }, { expire: 0 })
      const { statusCode, body } = await app.inject(url)
      t.equal(statusCode, 200, url)
      t.match(body, text)
      t.notMatch(body, LEAKS)
    }
  }
  const told = (file: string): Line | undefined => errors.find(line => line.file === file)
  t.match(told('partials/views/pulse.html'), { line: Number, frame: /> \d+ \| .*\{\{= uptim\}\}/, msg: /\/pulse .*partials\/views\/pulse\.html:\d+:\d+ \[unknown_value\]/ })
  t.match(told('pages/about.html'), { line: Number, frame: /> \d+ \| .*\{\{= page\.titel\}\}/, msg: /pages\/about\.html:\d+:\d+ \[\w+\]/ })
})

t.test('a page that never was good is 500.html of the site', async t => {
  const { app, errors, edit } = await start(t)
  edit('partials/views/request.html', '{{= sent.id}}', '{{= sent.nothing}}')
  await app.site.invalidate()
  const { statusCode, headers, body } = await app.inject('/request')
  t.equal(statusCode, 500)
  t.equal(headers['content-type'], 'text/html; charset=utf-8')
  t.match(body, 'This page could not be rendered')
  t.notMatch(body, LEAKS)
  t.match(errors[0], { file: 'partials/views/request.html', line: Number })
})

t.test('when the layout itself breaks there is still an answer, and nothing of the cause in it', async t => {
  const { app, edit } = await start(t)
  t.match((await app.inject('/notice')).body, 'The notice board')
  edit('partials/layout.html', '{{main}}', '{{main')
  edit('partials/layout.html', '<% label.html %/>', '<% label.html')
  await app.site.invalidate()
  t.match((await app.inject('/notice')).body, 'The notice board', 'the old page')
  for (const [url, status] of [['/request', 500], ['/nothing', 404]] as const) {
    const { statusCode, body } = await app.inject(url)
    t.equal(statusCode, status, url)
    t.match(body, '<h1>')
    t.notMatch(body, LEAKS)
  }
})
