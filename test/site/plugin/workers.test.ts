import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import siteWorkersApp from '../../helpers/site-workers-app.js'
import { startWorkers } from '../../helpers/workers.js'

t.test('a render worker renders files as they are when it renders', async (t) => {
  const root = t.testdir({ pages: { 'index.html': '<h1>old</h1><% footer.html %/>' }, partials: { 'footer.html': 'old' } })
  process.env['SITE_ROOT'] = root
  t.teardown(() => { delete process.env['SITE_ROOT'] })
  const { app, get, logs } = await startWorkers(t, {}, siteWorkersApp)
  // The first visitor has the pages listed.
  await get('/')
  await app.isr.refresh({ path: '/' })
  t.equal((await get('/')).body, '<h1>old</h1>old')
  for (let nth = 1; nth <= 3; nth++) {
    writeFileSync(path.join(root, 'partials/footer.html'), `new ${nth}`)
    await app.isr.refresh({ path: '/' })
    t.equal((await get('/')).body, `<h1>old</h1>new ${nth}`)
  }
  t.same(logs.filter(line => line.level >= 50), [])
})
