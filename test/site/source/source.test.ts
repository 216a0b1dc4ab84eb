import fs from 'node:fs'
import { chmod, mkdir, open, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { readSettled, stampOf, type Readable } from '../../../lib/site/source/read-text.js'
import { fileSource, memorySource, type Source } from '../../../lib/site/source/source.js'

const FILES = { 'pages/index.html': '<h1>Hi</h1>', 'pages/b/c.html': 'c', 'partials/x.html': 'é', 'top.txt': 'top' }
const tree = { pages: { 'index.html': '<h1>Hi</h1>', b: { 'c.html': 'c' } }, partials: { 'x.html': 'é' }, 'top.txt': 'top' }

interface Site { source: Source, set: (path: string, text: string) => Promise<void>, remove: (path: string) => Promise<void> }

const sites: Record<string, (t: Test) => Promise<Site>> = {
  'on disk': async t => {
    const root = t.testdir(tree)
    return {
      source: fileSource(root),
      set: async (path, text) => { await writeFile(join(root, path), text) },
      remove: async path => { await rm(join(root, path)) }
    }
  },
  'in memory': async () => {
    const source = memorySource(FILES)
    return { source, set: async (path, text) => { source.set(path, text) }, remove: async path => { source.delete(path) } }
  }
}

for (const [where, make] of Object.entries(sites)) {
  t.test(`files ${where} are listed in order, by folder`, async (t) => {
    const { source } = await make(t)
    const names = async (folder: string): Promise<string[]> => (await source.list(folder)).map(file => file.path)
    t.same(await names(''), ['pages/b/c.html', 'pages/index.html', 'partials/x.html', 'top.txt'])
    t.same(await names('pages'), ['pages/b/c.html', 'pages/index.html'])
    t.same(await names('pages/b'), ['pages/b/c.html'])
  })

  t.test(`files ${where} are read with the hash of their bytes`, async (t) => {
    const { source } = await make(t)
    t.match(await source.read('partials/x.html'), { path: 'partials/x.html', text: 'é', hash: '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c' })
    t.equal(await source.read('partials/none.html'), null)
    t.equal(await source.read('partials'), null)
  })

  t.test(`a change, a touch and a removal ${where} are seen by the stamp`, async (t) => {
    const { source, set, remove } = await make(t)
    const first = await source.stamp('top.txt')
    t.type(first, 'string')
    t.equal((await source.list('')).find(file => file.path === 'top.txt')?.stamp, first)
    const before = await source.read('top.txt')
    await set('top.txt', 'TOP')
    t.not(await source.stamp('top.txt'), before?.stamp, 'though it is as long as before')
    t.not((await source.read('top.txt'))?.hash, before?.hash)
    await set('top.txt', 'top')
    t.equal((await source.read('top.txt'))?.hash, before?.hash, 'the same text has the same hash')
    await remove('top.txt')
    t.equal(await source.stamp('top.txt'), null)
    t.equal(await source.read('top.txt'), null)
  })

  t.test(`paths that lead elsewhere are no files ${where}`, async (t) => {
    const { source } = await make(t)
    for (const path of ['', '/', '..', '../secret', 'pages/../top.txt', './top.txt', '/top.txt', 'pages//index.html', 'pages/index.html/', 'top.txt\0', 'pages\\index.html', '..\\secret']) {
      t.equal(await source.read(path), null, JSON.stringify(path))
      t.equal(await source.stamp(path), null)
    }
  })
}

t.test('the root may be a file URL, and messages can name the real place', async (t) => {
  const root = t.testdir(tree)
  t.match(await fileSource(pathToFileURL(`${root}/`)).read('top.txt'), { text: 'top' })
  t.match(await fileSource(pathToFileURL(root).href).read('top.txt'), { text: 'top' })
  t.equal(fileSource(root).locate('pages/index.html'), join(root, 'pages/index.html'))
  t.equal(fileSource(root).locate('../x'), null)
  t.equal(memorySource({}).locate('x'), null)
})

t.test('a folder that is missing, or a file, is named in a coded error', async (t) => {
  const root = t.testdir({ pages: 'a file' })
  const code = 'FST_ISR_ERR_SITE_FOLDER'
  await t.rejects(fileSource(root).list('partials'), { code, message: new RegExp(join(root, 'partials')) })
  await t.rejects(fileSource(root).list('pages'), { code })
  await t.rejects(fileSource(join(root, 'none')).list(''), { code, message: new RegExp(join(root, 'none')) })
  await t.rejects(fileSource(root).list('..'), { code })
})

t.test('files of editors and version control are no part of a site', async (t) => {
  const root = t.testdir({ pages: { '.index.html.swp': '', 'index.html~': '', '.DS_Store': '', 'a.html': '', '.git': { config: '' } } })
  t.same((await fileSource(root).list('pages')).map(file => file.path), ['pages/a.html'])
})

t.test('links stay within the site', async (t) => {
  const root = t.testdir({ site: { pages: { 'a.html': 'a', below: { 'b.html': 'b' } }, shared: { 'c.html': 'c' } }, 'secret.txt': 'secret', private: { 'd.html': 'd' } })
  const site = join(root, 'site')
  await symlink('../shared', join(site, 'pages/shared'))
  await symlink('a.html', join(site, 'pages/same.html'))
  await symlink('../../secret.txt', join(site, 'pages/secret.html'))
  await symlink('../../private', join(site, 'pages/private'))
  await symlink('..', join(site, 'pages/below/up'))
  await symlink('nowhere', join(site, 'pages/broken.html'))
  await symlink('loop.html', join(site, 'pages/loop.html'))
  const source = fileSource(site)
  t.same((await source.list('pages')).map(file => file.path), ['pages/a.html', 'pages/below/b.html', 'pages/same.html', 'pages/secret.html', 'pages/shared/c.html'])
  t.match(await source.read('pages/shared/c.html'), { text: 'c' })
  t.match(await source.read('pages/same.html'), { text: 'a' })
  await t.rejects(source.read('pages/secret.html'), { code: 'FST_ISR_ERR_SITE_OUTSIDE', message: /pages\/secret\.html.*links may only lead/ })
  await t.rejects(source.read('pages/private/d.html'), { code: 'FST_ISR_ERR_SITE_OUTSIDE' })
  await t.rejects(source.list('pages/private'), { code: 'FST_ISR_ERR_SITE_OUTSIDE' })
  t.equal(await source.read('pages/broken.html'), null)
  t.equal(await source.read('pages/loop.html'), null)
})

t.test('a root that is a link may be pointed at the next release', async (t) => {
  const root = t.testdir({ one: { 'a.txt': '1' }, two: { 'a.txt': '2' } })
  await symlink('one', join(root, 'current'))
  const source = fileSource(join(root, 'current'))
  t.match(await source.read('a.txt'), { text: '1' })
  await symlink('two', join(root, 'next'))
  await rename(join(root, 'next'), join(root, 'current'))
  t.match(await source.read('a.txt'), { text: '2' })
  t.equal((await source.list('')).length, 1)
})

t.test('what is no text is refused with its name', async (t) => {
  const root = t.testdir({ 'nul.html': 'a\0b' })
  await writeFile(join(root, 'binary.html'), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0xff]))
  await writeFile(join(root, 'bom.html'), '\ufefftext')
  await (await open(join(root, 'huge.html'), 'w')).truncate(9 * 1024 * 1024).then(() => {})
  execFileSync('mkfifo', [join(root, 'pipe.html')])
  const source = fileSource(root)
  const code = 'FST_ISR_ERR_SITE_FILE'
  await t.rejects(source.read('binary.html'), { code, message: /'binary\.html'.*UTF-8/ })
  await t.rejects(source.read('nul.html'), { code, message: /NUL/ })
  await t.rejects(source.read('huge.html'), { code, message: /bytes/ })
  t.equal(await source.read('pipe.html'), null, 'and nobody waits for a pipe')
  t.match(await source.read('bom.html'), { text: 'text' }, 'a byte order mark is no part of the text')
  await t.rejects(memorySource({ 'a.html': '\0' }).read('a.html'), { code })
})

t.test('a file that must not be read is an error, not a missing file', { skip: process.getuid?.() === 0 && 'root may read everything' }, async (t) => {
  const root = t.testdir({ 'a.html': 'a' })
  await chmod(join(root, 'a.html'), 0)
  await t.rejects(fileSource(root).read('a.html'), { code: 'FST_ISR_ERR_SITE_FILE' })
})

t.test('a file that changes while it is read is read again', async (t) => {
  const root = t.testdir({ 'a.html': 'old' })
  const file = join(root, 'a.html')
  const handle = await open(file)
  t.teardown(async () => { await handle.close() })
  /** Writes to the real file in the middle of the first reads. */
  const disturbed = (times: number): Readable => ({
    stat: handle.stat.bind(handle),
    read: (async (...args: Parameters<typeof handle.read>) => {
      if (times-- > 0) {
        // As long as before: only its time tells.
        await writeFile(file, `n${times}`.padEnd(3, '!').slice(0, 3))
        await utimes(file, times, times)
      }
      return await handle.read(...args)
    }) as Readable['read']
  })
  t.match(await readSettled(disturbed(3), 'a.html'), { text: 'n0!' })
  await t.rejects(readSettled(disturbed(1000), 'a.html'), { code: 'FST_ISR_ERR_SITE_FILE', message: /changed 5 times/ })
})

t.test('a stamp taken in the moment of a write is not trusted later, whatever a copy has set the time to', async (t) => {
  const root = t.testdir({ 'a.html': 'a' })
  const handle = await open(join(root, 'a.html'))
  t.teardown(async () => { await handle.close() })
  const long = BigInt(Date.now() - 60_000) * 1_000_000n
  const now = BigInt(Date.now()) * 1_000_000n
  const stampAt = async (mtimeNs: bigint, ctimeNs: bigint): Promise<[read: string, later: string]> => {
    const stats = Object.assign(await handle.stat({ bigint: true }), { mtimeNs, ctimeNs })
    const { stamp } = await readSettled({ read: handle.read.bind(handle), stat: (async () => stats) as unknown as Readable['stat'] }, 'a.html')
    return [stamp, stampOf(stats)]
  }
  t.equal(...await stampAt(long, long))
  for (const [mtime, ctime] of [[now, now], [long, now], [now, long]] as const) {
    t.not(...await stampAt(mtime, ctime), 'a second write within the resolution of the clock would not be seen')
  }
})

t.test('a copy that keeps length and time is seen all the same', async (t) => {
  const root = t.testdir({ 'a.html': 'one' })
  const file = join(root, 'a.html')
  const long = new Date(Date.now() - 60_000)
  await utimes(file, long, long)
  const source = fileSource(root)
  const before = await source.stamp('a.html')
  await writeFile(file, 'two')
  await utimes(file, long, long)
  t.not(await source.stamp('a.html'), before)
})

t.test('a folder that loses files while it is listed is listed', async (t) => {
  const root = t.testdir({ pages: Object.fromEntries(Array.from({ length: 300 }, (_, nth) => [`${nth}.html`, ''])) })
  const source = fileSource(root)
  const [files] = await Promise.all([source.list('pages'), ...Array.from({ length: 100 }, async (_, nth) => { await rm(join(root, `pages/${nth}.html`)) })])
  t.ok(files.length >= 200)
  await mkdir(join(root, 'pages/new'))
  t.equal((await source.list('pages')).length, 200)
})

t.test('a folder that may not be read is told in the list, with all that may', async (t) => {
  // Whoever tests may be allowed to read everything.
  const { readdir } = fs.promises
  const root = t.testdir({ pages: { 'index.html': '', closed: { 'a.html': '' }, open: { 'b.html': '' } } })
  let closed = join(root, 'pages/closed')
  fs.promises.readdir = (async (folder: string, options: never) => {
    if (folder === closed) throw Object.assign(new Error(`EACCES: permission denied, scandir '${folder}'`), { code: 'EACCES', syscall: 'scandir' })
    return await readdir(folder, options)
  }) as never
  syncBuiltinESMExports()
  t.teardown(() => { fs.promises.readdir = readdir; syncBuiltinESMExports() })
  const source = fileSource(root)
  t.match(await source.list('pages'), [{ path: 'pages/closed/', error: { code: 'FST_ISR_ERR_SITE_FILE', message: /'pages\/closed\/'.*permission denied/ } }, { path: 'pages/index.html' }, { path: 'pages/open/b.html' }])
  closed = join(root, 'pages')
  await t.rejects(source.list('pages'), { code: 'FST_ISR_ERR_SITE_FILE' }, 'not a site without pages')
})

t.test('folders that link to each other are refused, before every way through them has been gone', async (t) => {
  const root = t.testdir({ pages: {} })
  const names = Array.from({ length: 12 }, (_, nth) => `f${nth}`)
  for (const name of names) {
    await mkdir(join(root, 'pages', name))
    await writeFile(join(root, 'pages', name, 'a.html'), '')
    for (const other of names) if (other !== name) await symlink(`../${other}`, join(root, 'pages', name, other))
  }
  await t.rejects(fileSource(root).list('pages'), { code: 'FST_ISR_ERR_SITE_LINKS' })
})
