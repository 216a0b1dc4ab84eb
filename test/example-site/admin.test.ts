import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { isAdmin, readAdminAccess } from '../../example-app/admin-access.js'
import { attributesOf, startExample } from '../helpers/example-site.js'

const access = { user: 'editor', password: 'pässword:with a colon' }
const authorization = (user: string, password: string): string => `Authorization: Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const ALLOWED = [authorization(access.user, access.password)]
const PAGES = ['/admin', '/admin/stats', '/admin/design-system', '/admin/refresh', '/admin/none']
/** What only the admin pages say. */
const SECRET = /Design system|Statistics|Every piece/

t.test('nobody sees an admin page without the password, not even whether there is one', async (t) => {
  const { raw } = await startExample(t, { admin: access })
  for (const path of PAGES) {
    for (const headers of [[], [authorization('editor', 'wrong')], [authorization('other', access.password)], [authorization('', '')], ['Authorization: Bearer x'], ['Authorization: Basic !'], ['Cookie: admin=1']]) {
      for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
        const { status, headers: sent, body } = await raw(path, [...headers, 'Content-Length: 0'], method)
        t.equal(status, 401, `${method} ${path} ${headers.join()}`)
        t.match(sent['www-authenticate'], /^Basic realm="fastify-isr example"/)
        t.equal(sent['cache-control'], 'no-store')
        t.match(sent['x-robots-tag'], 'noindex')
        t.notMatch(body.toString(), SECRET)
      }
    }
  }
})

t.test('with the password all of it is there, and nothing of it is ever stored', async (t) => {
  const { app, raw } = await startExample(t, { admin: access })
  await raw('/')
  for (let nth = 0; nth < 2; nth++) {
    for (const path of ['/admin/stats', '/admin/design-system']) {
      const { status, headers, body } = await raw(path, ALLOWED)
      t.equal(status, 200, path)
      t.equal(headers['cache-control'], 'no-store')
      t.match(headers['x-robots-tag'], 'noindex')
      t.equal(headers['cache-status'], undefined)
      t.match(body.toString(), SECRET)
    }
  }
  t.equal((await raw('/admin', ALLOWED)).headers['location'], '/admin/stats')
  t.equal((await raw('/admin/none', ALLOWED)).status, 404)
  const stats = (await raw('/admin/stats', ALLOWED)).body.toString()
  for (const text of ['Hits', 'Misses', 'Revalidation errors', '<th scope="row">/</th>', 'p95']) t.match(stats, text)
  t.same((await app.isr.entries({ filter: 'admin' })).entries, [])
  t.equal((await raw('/admin/stats')).status, 401, 'what somebody with the password has seen is nobody else\'s')
})

t.test('no other spelling of an address leads to an admin page', async (t) => {
  const { raw } = await startExample(t, { admin: access })
  for (const target of [
    '/x/../admin/design-system', '/./admin/stats', '//admin', '//admin/stats', '///admin/stats', '/admin//stats', '/%61dmin/stats', '/admin%2Fstats', '/admin%2fdesign-system', '/x/%2e%2e/admin/stats', '/x/..%2fadmin/stats',
    '/ADMIN/stats', '/Admin', '/admin/stats/', '/admin/', '/admin;x/stats', '/admin/stats;x', '/admin%00/stats', '/admin\\stats', '/..\\admin\\stats', '/blog/../admin/stats', '/%2561dmin/stats', 'http://other.example/admin/stats', '/admin/stats?x', '/admin/stats%3fx',
    '/views/admin/stats', '/partials/views/admin/stats.html', '/admin/stats.html'
  ]) {
    const { status, body } = await raw(target)
    t.ok([301, 400, 401, 404].includes(status), `${target} → ${status}`)
    t.notMatch(body.toString(), SECRET, target)
  }
})

t.test('pages are refreshed by a form of their own page, and by no other site\'s', async (t) => {
  const { raw } = await startExample(t, { admin: access })
  await raw('/')
  for (const headers of [['Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: same-site'], ['Origin: https://other.example'], ['Origin: null']]) {
    t.equal((await raw('/admin/refresh', [...ALLOWED, ...headers, 'Content-Length: 0'], 'POST')).status, 403, headers.join())
  }
  const { status, body } = await raw('/admin/refresh', [...ALLOWED, 'Origin: http://visitor.example', 'Content-Length: 0'], 'POST')
  t.equal(status, 200)
  t.match(body.toString(), /\d+ (?:stored|renewed)/)
  t.equal((await raw('/admin/refresh', ALLOWED)).status, 404, 'not by a link')
})

t.test('the design system shows every partial of the site but those of pages', async (t) => {
  const { raw } = await startExample(t, { admin: access })
  const html = (await raw('/admin/design-system', ALLOWED)).body.toString()
  for (const name of ['card', 'doors', 'slider', 'timeline', 'label', 'scroll', 'numbers', 'byline', 'posts', 'cards', 'notices', 'lab', 'actions']) t.match(attributesOf(html, /class="([^"]+)"/g).join(' '), new RegExp(`\\b${name}\\b`), name)
  t.match(html, '<meta name="robots" content="noindex">')
})

t.test('without a password there are no admin pages', async (t) => {
  const { raw } = await startExample(t)
  for (const path of PAGES) t.equal((await raw(path, ALLOWED)).status, 404, path)
})

t.test('production does not start without a password, and says what to set', async (t) => {
  t.same(readAdminAccess({ ADMIN_USER: 'a', ADMIN_PASSWORD: 'b', NODE_ENV: 'production' }), { user: 'a', password: 'b' })
  t.equal(readAdminAccess({}), null)
  t.throws(() => readAdminAccess({ NODE_ENV: 'production', ADMIN_USER: 'a' }), { message: /^set ADMIN_PASSWORD in the environment/ })
  t.throws(() => readAdminAccess({ ADMIN_USER: 'a:b', ADMIN_PASSWORD: 'c' }), { message: /colon/ })
  const { status, stderr, stdout } = spawnSync(process.execPath, [fileURLToPath(new URL('../../example-app/server.js', import.meta.url))], {
    encoding: 'utf8',
    env: { ...process.env, NODE_ENV: 'production', ADMIN_USER: '', ADMIN_PASSWORD: '', PORT: '0' }
  })
  t.equal(status, 1)
  t.match(stderr, /set ADMIN_USER and ADMIN_PASSWORD in the environment: with NODE_ENV=production this site does not start without them/)
  t.equal(stdout, '')
})

t.test('the user and the password are both compared, whole', async (t) => {
  t.ok(isAdmin(access, access.user, access.password))
  for (const [user, password] of [['editor', 'pässword'], ['editor', ''], ['', ''], ['editor', 'pässword:with a colon '], ['Editor', access.password]] as const) t.notOk(isAdmin(access, user, password), `${user} ${password}`)
})
