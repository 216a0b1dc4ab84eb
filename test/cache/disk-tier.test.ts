import fc from 'fast-check'
import t, { type Test } from 'tap'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode, encode } from '../../lib/cache/codec.js'
import { entryFile, type DiskTierOptions } from '../../lib/cache/disk-tier.js'
import { NameSet } from '../../lib/cache/name-set.js'
import type { Entry } from '../../lib/cache/entry.js'
import { makeDisk, makeEntryOf, textOf, until, type TestDisk } from '../helpers/engine.js'
import { holds } from '../helpers/property.js'

const badEntry = { code: 'FST_ISR_ERR_BAD_ENTRY' }
const asked = { key: '/', buildId: 'b1' }

const small = makeEntryOf('/', {
  ttl: Infinity,
  staleWhileRevalidate: 0,
  staleIfError: 1.5,
  jitter: 0.05,
  tags: ['\u0001all', 'blog', 'ä'],
  meta: { status: 200, headers: [['content-type', 'text/html']] },
  bodies: [{ encoding: 'identity', bytes: Buffer.from('hello') }, { encoding: 'br', bytes: Buffer.from([0, 255]) }, { encoding: 'gzip', bytes: Buffer.alloc(0) }]
})

/** Bytes with a right checksum around any head. */
function forge (head: unknown, bodies: string = 'hello', headLength?: number): Buffer {
  const json = Buffer.from(typeof head === 'string' ? head : JSON.stringify(head))
  const prefix = Buffer.from('FISR\x01\0\0\0\0')
  prefix.writeUInt32BE(headLength ?? json.length, 5)
  const all = Buffer.concat([prefix, json, Buffer.from(bodies)])
  return Buffer.concat([all, createHash('sha256').update(all).digest()])
}

const head = { key: '/', buildId: 'b1', renderedAt: 1, epoch: 1, windows: [60, 60, 60], jitter: 0, tags: [], meta: {}, hash: 'h', bodies: [['identity', 5]] }

t.test('an entry', async (t) => {
  t.test('comes back as it was written', async (t) => {
    t.same(decode(encode(small), asked), small)
    t.match(decode(forge(head), asked), { bodies: [{ bytes: Buffer.from('hello') }] }, 'the forger of this test knows the format')
  })

  t.test('of any content comes back as it was written', async () => {
    const seconds = fc.oneof(fc.nat(), fc.double({ min: 0, max: 1e9, noNaN: true }), fc.constant(Infinity))
    const entryArb = fc.record({
      key: fc.string({ unit: 'binary' }),
      buildId: fc.string(),
      renderedAt: fc.nat(),
      epoch: fc.nat(),
      ttl: seconds,
      staleWhileRevalidate: seconds,
      staleIfError: seconds,
      jitter: fc.double({ min: 0, max: 0.1, noNaN: true }),
      tags: fc.array(fc.string({ unit: 'binary' })),
      meta: fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.nat(), fc.constant(null))),
      hash: fc.string(),
      bodies: fc.array(fc.record({ encoding: fc.constantFrom('identity', 'br', 'gzip'), bytes: fc.uint8Array().map(bytes => Buffer.from(bytes)) }), { minLength: 1, maxLength: 4 })
    })
    // 0 and -0 are one number in JSON.
    const plain = (entry: Entry): string => JSON.stringify({ ...entry, windows: [entry.ttl, entry.staleWhileRevalidate, entry.staleIfError].map(String), bodies: entry.bodies.map(body => [body.encoding, body.bytes.toString('hex')]) })
    holds(t, fc.property(entryArb, entry => plain(decode(encode(entry), entry)) === plain(entry)))
  })

  t.test('with any bit flipped is refused', async (t) => {
    const bytes = encode(small)
    let refused = 0
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      try {
        decode(flipped, asked)
      } catch (error) {
        if ((error as { code?: string }).code === badEntry.code) refused++
      }
    }
    t.equal(refused, bytes.length * 8)
  })

  t.test('that is cut off, or longer than it was, is refused', async (t) => {
    const bytes = encode(small)
    for (let length = 0; length < bytes.length; length++) t.throws(() => decode(bytes.subarray(0, length), asked), badEntry)
    t.throws(() => decode(Buffer.concat([bytes, Buffer.from('x')]), asked), badEntry)
    t.throws(() => decode(Buffer.concat([bytes, bytes]), asked), badEntry)
  })

  t.test('of another key or build is refused, wherever it lies', async (t) => {
    t.throws(() => decode(encode(small), { key: '/other', buildId: 'b1' }), { ...badEntry, message: /another key or build/ })
    t.throws(() => decode(encode(small), { key: '/', buildId: 'b2' }), badEntry)
  })

  t.test('of another version is refused', async (t) => {
    const bytes = encode(small)
    bytes.writeUInt8(2, 4)
    t.throws(() => decode(bytes, asked), { ...badEntry, message: /another version/ })
  })

  t.test('of another shape is refused, however right its checksum', async (t) => {
    const wrong: Record<string, unknown[]> = {
      key: [undefined, 1, null],
      buildId: [undefined, 1],
      hash: [undefined, {}],
      renderedAt: [undefined, '1', -1, null],
      epoch: [undefined, '1', -1],
      windows: [undefined, [1, 2], [1, 2, 3, 4], [1, 2, -2], [1, 2, '3'], [1, 2, null], {}],
      jitter: [undefined, -0.1, 0.2, '0'],
      tags: [undefined, 'a', [1], {}],
      meta: [undefined, null, [], 'x'],
      bodies: [undefined, [], [['identity']], [['identity', 4]], [['identity', 6]], [['identity', -1], ['br', 6]], [['identity', 2.5], ['br', 2.5]], [['identity', '5']], [[5, 'identity']], {}, [['x\r\nset-cookie: a=b', 5]]]
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) t.throws(() => decode(forge({ ...head, [name]: value }), asked), badEntry, `${name}: ${JSON.stringify(value)}`)
    }
    for (const text of ['', 'null', '[]', '1', '{', '"x"', '{}']) t.throws(() => decode(forge(text), asked), badEntry, text)
    t.throws(() => decode(forge(head, 'hello', 5000), asked), { ...badEntry, message: /head longer/ })
    t.throws(() => decode(forge(head, 'hello', 0xffffffff), asked), badEntry)
  })

  t.test('changes no prototype by the names in it', async (t) => {
    const text = JSON.stringify(head).replace('"meta":{}', '"meta":{"__proto__":{"isAdmin":true},"constructor":1},"__proto__":{"key":"/"}')
    const entry = decode(forge(text), asked) as Entry & { isAdmin?: boolean }
    t.equal(({} as { isAdmin?: boolean }).isAdmin, undefined)
    t.equal((entry.meta as { isAdmin?: boolean }).isAdmin, undefined)
    const inherited = JSON.stringify({ ...head, key: undefined }).replace('{', '{"__proto__":{"key":"/"},')
    t.throws(() => decode(forge(inherited), asked), badEntry, 'a field must be its own')
  })
})

function fileOf (root: string, key: string, buildId = 'b1'): string {
  return path.join(root, entryFile(buildId, key))
}

async function exists (file: string): Promise<boolean> {
  return await fs.lstat(file).then(() => true, () => false)
}

/** A disk whose first look is over. */
async function openDisk (root: string, options: Partial<DiskTierOptions> = {}, built: { key: string, bytes: number }[] = []): Promise<TestDisk> {
  const made = makeDisk(root, options)
  const names = new NameSet()
  for (const { key } of built) names.add(path.basename(entryFile('b1', key)))
  made.disk.open(names)
  await made.disk.scanned
  return made
}

async function filesIn (root: string): Promise<string[]> {
  return (await fs.readdir(root, { recursive: true, withFileTypes: true })).filter(file => file.isFile()).map(file => file.name)
}

t.test('the disk tier', async (t) => {
  t.test('keeps entries, replaces and deletes them, and knows what is not there', async (t) => {
    const root = t.testdir()
    const { disk, errors } = await openDisk(root)
    t.equal(disk.mayHave('/'), false)
    t.equal(await disk.read('/'), null)
    await disk.write(small)
    t.same(await disk.read('/'), small)
    t.equal(disk.entries, 1)
    t.equal(disk.bytes, encode(small).length)
    await disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
    t.equal(textOf(await disk.read('/') as Entry), 'body of /')
    t.equal(disk.entries, 1)
    await disk.delete('/')
    t.equal(disk.mayHave('/'), false)
    t.same(await filesIn(root), [])
    t.equal(disk.bytes, 0)
    t.same(errors, [])
  })

  t.test('names files by a hash, readable by their owner alone', async (t) => {
    const root = t.testdir()
    const { disk } = await openDisk(root)
    for (const key of ['/../../etc/passwd', '/\0', `/${'x'.repeat(5000)}`, '/con', '/A', '/a', '']) {
      await disk.write(makeEntryOf(key))
      t.equal((await disk.read(key))?.key, key)
    }
    const names = await filesIn(root)
    t.equal(names.length, 7)
    for (const name of names) t.match(name, /^[0-9a-f]{64}$/)
    const file = fileOf(root, '/a')
    t.equal((await fs.stat(file)).mode & 0o777, 0o600)
    t.equal((await fs.stat(path.dirname(file))).mode & 0o777, 0o700)
  })

  t.test('finds the entries of earlier runs', async (t) => {
    const root = t.testdir()
    const first = await openDisk(root)
    await Promise.all(['/a', '/b', '/c'].map(key => first.disk.write(makeEntryOf(key))))
    await first.disk.close()
    const second = makeDisk(root)
    second.disk.open()
    t.ok(second.disk.mayHave('/a'), 'also while it is still looking')
    t.equal(textOf(await second.disk.read('/a') as Entry), 'body of /a')
    await second.disk.scanned
    t.equal(second.disk.entries, 3)
    t.equal(second.disk.bytes, first.disk.bytes)
    t.equal(second.disk.mayHave('/unknown'), false)
    const other = await openDisk(root, { buildId: 'b2' })
    t.equal(other.disk.entries, 0, 'another build has pages of its own')
  })

  t.test('removes what dead processes left half-written, and nothing that is being written', async (t) => {
    const root = t.testdir()
    const dir = path.dirname(fileOf(root, '/'))
    await fs.mkdir(dir, { recursive: true })
    const [old, young, foreign] = [`${fileOf(root, '/')}.0123456789ab.tmp`, `${fileOf(root, '/')}.ba9876543210.tmp`, path.join(dir, 'notes.tmp')]
    for (const file of [old, young, foreign]) await fs.writeFile(file, 'half')
    const past = new Date(Date.now() - 61_000)
    await fs.utimes(old, past, past)
    await fs.utimes(foreign, past, past)
    const { disk, errors } = await openDisk(root)
    t.same(await Promise.all([old, young, foreign].map(exists)), [false, true, true])
    t.equal(disk.entries, 0)
    t.same(errors, [])
  })

  t.test('takes a missing file for a miss, and asks no second time', async (t) => {
    const root = t.testdir()
    const { disk, errors } = await openDisk(root, {}, [{ key: '/', bytes: 1 }])
    t.equal(disk.mayHave('/'), true)
    t.equal(await disk.read('/'), null)
    t.equal(disk.mayHave('/'), false)
    t.same(errors, [])

    const reading = makeDisk(root, { writeBack: false })
    t.equal(await reading.disk.read('/late'), null)
    await disk.write(makeEntryOf('/late'))
    t.ok(await reading.disk.read('/late'), 'what was not there yet, when nobody had looked, may be there now')
  })

  t.test('takes an unreadable entry for a miss, reports it once and removes it', async (t) => {
    const root = t.testdir()
    const { disk, errors } = await openDisk(root)
    await disk.write(small)
    const file = fileOf(root, '/')
    const bytes = await fs.readFile(file)
    for (const broken of [bytes.subarray(0, -1), Buffer.alloc(0), encode(makeEntryOf('/other')), encode(makeEntryOf('/', { buildId: 'b2' }))]) {
      await fs.writeFile(file, broken)
      await disk.write(small)
      await fs.writeFile(file, broken)
      errors.length = 0
      t.equal(await disk.read('/'), null)
      t.match(errors, [{ operation: 'read', key: '/', error: badEntry }])
      t.equal(await exists(file), false)
      t.equal(await disk.read('/'), null)
      t.equal(errors.length, 1)
    }
    t.equal(disk.bytes, 0)
  })

  t.test('follows no symbolic link, opens no directory and waits for no pipe', async (t) => {
    const root = t.testdir({ outside: 'secret' })
    const outside = path.join(root, 'outside')
    await fs.writeFile(outside, encode(small))
    const file = fileOf(root, '/')
    await fs.mkdir(path.dirname(file), { recursive: true })

    await fs.symlink(outside, file)
    const scanned = await openDisk(root)
    t.equal(scanned.disk.mayHave('/'), false, 'the first look passes it over')
    const linked = await openDisk(root, {}, [{ key: '/', bytes: 1 }])
    t.equal(await linked.disk.read('/'), null)
    await linked.disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
    t.same(await fs.readFile(outside), encode(small), 'a write replaces the link, not what it leads to')
    t.equal(textOf(await linked.disk.read('/') as Entry), 'body of /')

    await fs.rm(file)
    await fs.mkdir(file)
    const folder = await openDisk(root, {}, [{ key: '/', bytes: 1 }])
    t.equal(await folder.disk.read('/'), null)
    await folder.disk.write(small)
    t.equal(await folder.disk.read('/'), null, 'what can not be written is not believed')
    t.ok(folder.errors.length >= 2)
    await fs.rmdir(file)

    const { code } = await run('mkfifo', [file])
    if (code !== 0) return t.comment('no pipes here')
    const pipe = await openDisk(root, {}, [{ key: '/', bytes: 1 }])
    t.equal(await pipe.disk.read('/'), null)
  })

  t.test('serves what is being written, and ends with the newest of concurrent writes', async (t) => {
    const root = t.testdir()
    const { disk } = await openDisk(root)
    const version = (n: number): Entry => makeEntryOf('/', { epoch: n, bodies: [{ encoding: 'identity', bytes: Buffer.from(`v${n}`) }] })
    const first = disk.write(version(1))
    t.equal(textOf(await disk.read('/') as Entry), 'v1')
    const writes = [first, ...[2, 5, 3, 4].map(n => disk.write(version(n)))]
    t.equal(textOf(await disk.read('/') as Entry), 'v5')
    await Promise.all(writes)
    t.equal(textOf(await disk.read('/') as Entry), 'v5')
    t.equal(disk.bytes, encode(version(5)).length)
    t.equal((await filesIn(root)).length, 1, 'no temporary file is left')

    const deleted = disk.delete('/')
    t.equal(await disk.read('/'), null)
    const again = disk.write(version(6))
    t.equal(textOf(await disk.read('/') as Entry), 'v6')
    await Promise.all([deleted, again])
    t.equal(textOf(await disk.read('/') as Entry), 'v6')

    await Promise.all([disk.write(version(7)), disk.delete('/')])
    t.equal(await disk.read('/'), null)
    t.same(await filesIn(root), [])
  })

  t.test('evicts what it wrote at run time, the least recently used first, never a built entry', async (t) => {
    const root = t.testdir()
    const bytes = encode(makeEntryOf('/0')).length
    const build = await openDisk(root)
    await build.disk.write(makeEntryOf('/built'))
    const { disk } = await openDisk(root, { maxBytes: bytes * 3 }, [{ key: '/built', bytes }])
    for (const key of ['/0', '/1', '/2']) await disk.write(makeEntryOf(key))
    await disk.read('/0')
    await disk.write(makeEntryOf('/3'))
    t.same(await Promise.all(['/built', '/0', '/1', '/2', '/3'].map(async key => await disk.read(key) !== null)), [true, true, false, true, true])
    t.equal(disk.bytes, bytes * 3)
    t.equal((await filesIn(root)).length, 4)
  })

  t.test('keeps everything else when one entry is larger than the whole budget', async (t) => {
    const root = t.testdir()
    const { disk, errors } = await openDisk(root, { maxBytes: 3000 })
    await disk.write(makeEntryOf('/a'))
    await disk.write(makeEntryOf('/large'))
    await disk.write(makeEntryOf('/large', { epoch: small.epoch + 1, bodies: [{ encoding: 'identity', bytes: Buffer.alloc(4000) }] }))
    t.equal(await disk.read('/large'), null, 'its older copy is gone')
    t.equal(textOf(await disk.read('/a') as Entry), 'body of /a')
    t.equal((await filesIn(root)).length, 1)
    t.same(errors, [])
  })

  t.test('without room keeps nothing', async (t) => {
    const root = t.testdir()
    const { disk, errors } = await openDisk(root, { maxBytes: 0 })
    await disk.write(small)
    t.equal(await disk.read('/'), null)
    t.same(await filesIn(root), [])
    t.same(errors, [])
  })

  t.test('that only reads the build writes nothing and removes nothing', async (t) => {
    const root = t.testdir()
    const build = await openDisk(root)
    for (const key of ['/', '/deleted', '/broken']) await build.disk.write(makeEntryOf(key))
    await fs.writeFile(fileOf(root, '/broken'), 'broken')
    const abandoned = `${fileOf(root, '/')}.0123456789ab.tmp`
    await fs.writeFile(abandoned, '')
    await fs.utimes(abandoned, new Date(0), new Date(0))
    const { disk } = await openDisk(root, { writeBack: false }, ['/', '/deleted', '/broken'].map(key => ({ key, bytes: 1 })))
    t.equal(textOf(await disk.read('/') as Entry), 'body of /')
    await disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
    await disk.write(makeEntryOf('/new'))
    await disk.delete('/deleted')
    t.same(await Promise.all(['/', '/new', '/deleted', '/broken'].map(async key => await disk.read(key))), [null, null, null, null], 'what is no longer true there is not believed')
    t.equal((await filesIn(root)).length, 4)
    disk.addBuilt(['/'])
    t.equal(textOf(await disk.read('/') as Entry), 'body of /', 'until a build has written it again')
  })

  t.test('closes after the writes under way, and writes nothing afterwards', async (t) => {
    const root = t.testdir()
    const { disk } = await openDisk(root)
    void disk.write(makeEntryOf('/a'))
    await disk.close()
    await disk.write(makeEntryOf('/b'))
    await disk.delete('/a')
    t.equal((await filesIn(root)).length, 1)
  })
})

/** The tier on a file system with faults: per function, the error it ends in. */
async function faultyDisk (t: Test, root: string, { isScanned = true }: { isScanned?: boolean } = {}): Promise<TestDisk & { faults: Record<string, string | undefined>, between: { open?: (() => Promise<void>) | undefined } }> {
  const faults: Record<string, string | undefined> = {}
  const between: { open?: (() => Promise<void>) | undefined } = {}
  const check = (name: string): void => {
    const code = faults[name]
    if (code !== undefined) throw Object.assign(new Error(`${code}: injected`), { code })
  }
  const { DiskTier } = await t.mockImport(new URL('../../lib/cache/disk-tier.js', import.meta.url).href, {
    'node:fs/promises': {
      ...fs,
      async open (file: string, flags: string | number, mode?: number) {
        const isRead = typeof flags === 'number'
        check(isRead ? 'openRead' : 'openWrite')
        const handle = await fs.open(file, flags, mode)
        if (isRead) {
          const readFile = handle.readFile.bind(handle)
          handle.readFile = (async () => {
            const bytes = await readFile()
            await between.open?.()
            check('read')
            return bytes
          }) as typeof handle.readFile
        } else {
          handle.writeFile = (async (bytes: Buffer) => {
            if (faults.write !== undefined) await handle.write(bytes, 0, 10)
            check('write')
            await handle.write(bytes)
          }) as typeof handle.writeFile
        }
        return handle
      },
      async rename (from: string, to: string) { check('rename'); await fs.rename(from, to) },
      async unlink (file: string) { check('unlink'); await fs.unlink(file) },
      async readdir (dir: string) { check('readdir'); return await fs.readdir(dir) },
      async mkdir (dir: string, options: object) { check('mkdir'); return await fs.mkdir(dir, options) }
    }
  }) as typeof import('../../lib/cache/disk-tier.js')
  const errors: TestDisk['errors'] = []
  const worked: string[] = []
  const disk = new DiskTier({
    root,
    buildId: 'b1',
    maxBytes: 1024 * 1024,
    writeBack: true,
    onError: (operation, key, error) => { errors.push({ operation, key, error }) },
    onWorking: (operation) => { worked.push(operation) }
  })
  if (isScanned) disk.open()
  await disk.scanned
  return { root, disk, errors, worked, faults, between }
}

t.test('a disk that fails', async (t) => {
  t.test('while writing: the error is reported, and the older copy there is never believed again', async (t) => {
    const base = t.testdir()
    for (const [operation, code] of [['write', 'ENOSPC'], ['openWrite', 'EROFS'], ['openWrite', 'EMFILE'], ['rename', 'EIO'], ['openWrite', 'EACCES']] as const) {
      const root = path.join(base, code, operation)
      await fs.mkdir(root, { recursive: true })
      const { disk, errors, worked, faults } = await faultyDisk(t, root)
      await disk.write(makeEntryOf('/', { epoch: 1 }))
      faults[operation] = code
      await disk.write(makeEntryOf('/', { epoch: 2 }))
      t.match(errors, [{ operation: 'write', key: '/', error: { code } }])
      t.equal(await disk.read('/'), null, `after ${code} the older copy is not served`)
      t.equal(disk.mayHave('/'), false)
      t.notOk((await filesIn(root)).some(name => name.endsWith('.tmp')), 'no temporary file is left')
      faults[operation] = undefined
      worked.length = 0
      await disk.write(makeEntryOf('/', { epoch: 3 }))
      t.same(worked, ['write'])
      t.equal((await disk.read('/'))?.epoch, 3, 'it recovers without a restart')
    }
  })

  t.test('while writing, before the first look is over', async (t) => {
    const { disk, faults } = await faultyDisk(t, t.testdir(), { isScanned: false })
    await disk.write(makeEntryOf('/', { epoch: 1 }))
    t.equal(disk.mayHave('/unknown'), true)
    faults.write = 'ENOSPC'
    await disk.write(makeEntryOf('/', { epoch: 2 }))
    t.equal(await disk.read('/'), null)
    faults.unlink = 'EROFS'
    await disk.delete('/')
    t.equal(await disk.read('/'), null)
  })

  t.test('while writing a page that is then dropped: its old copy goes, too', async (t) => {
    const root = t.testdir()
    const { disk, faults } = await faultyDisk(t, root)
    await disk.write(makeEntryOf('/'))
    faults.write = 'ENOSPC'
    await disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
    await disk.delete('/')
    t.same(await filesIn(root), [], 'or the next start would find it')
  })

  t.test('while deleting: what lies there is not believed', async (t) => {
    const root = t.testdir()
    const { disk, errors, faults } = await faultyDisk(t, root)
    await disk.write(makeEntryOf('/'))
    faults.unlink = 'EROFS'
    await disk.delete('/')
    t.match(errors, [{ operation: 'delete', key: '/', error: { code: 'EROFS' } }])
    t.equal(await disk.read('/'), null)
    faults.unlink = undefined
    await disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
    t.ok(await disk.read('/'))
  })

  t.test('while reading: a miss, and the page is there again when the fault is over', async (t) => {
    const root = t.testdir()
    const { disk, errors, worked, faults } = await faultyDisk(t, root)
    await disk.write(makeEntryOf('/'))
    for (const [operation, code] of [['openRead', 'EMFILE'], ['openRead', 'EACCES'], ['read', 'EIO']] as const) {
      errors.length = 0
      faults[operation] = code
      t.equal(await disk.read('/'), null)
      t.match(errors, [{ operation: 'read', key: '/', error: { code } }])
      faults[operation] = undefined
      worked.length = 0
      t.equal(textOf(await disk.read('/') as Entry), 'body of /')
      t.same(worked, ['read'])
    }
  })

  t.test('while looking for earlier entries: it works without them', async (t) => {
    const root = t.testdir()
    const { disk, errors, faults } = await faultyDisk(t, root)
    await disk.write(makeEntryOf('/'))
    faults.readdir = 'EIO'
    disk.open()
    await disk.scanned
    t.match(errors, [{ operation: 'scan', key: null, error: { code: 'EIO' } }])
    await disk.write(makeEntryOf('/new'))
    t.ok(await disk.read('/new'))
  })

  t.test('a root that is a file is no crash', async (t) => {
    const root = t.testdir({ file: 'x' })
    const { disk, errors } = await openDisk(path.join(root, 'file'))
    await disk.write(small)
    t.equal(await disk.read('/'), null)
    t.same(errors.map(({ operation }) => operation), ['scan', 'write'])
  })

  t.test('a broken copy that is read while it is replaced takes nothing of the new one along', async (t) => {
    const base = t.testdir()
    for (const breakIt of [async (file: string) => { await fs.writeFile(file, 'broken') }, null]) {
      const root = path.join(base, String(breakIt === null))
      await fs.mkdir(root, { recursive: true })
      const { disk, between, faults } = await faultyDisk(t, root)
      await disk.write(makeEntryOf('/'))
      await breakIt?.(fileOf(root, '/'))
      if (breakIt === null) faults.read = 'ENOENT'
      between.open = async () => {
        between.open = undefined
        await disk.write(makeEntryOf('/', { epoch: small.epoch + 1 }))
      }
      t.equal(await disk.read('/'), null)
      faults.read = undefined
      t.equal((await disk.read('/'))?.epoch, small.epoch + 1)
      await disk.close()
      t.equal((await filesIn(root)).length, 1)
    }
  })
})

function run (command: string, args: string[]): Promise<{ code: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'ignore' })
    child.on('error', () => { resolve({ code: -1 }) })
    child.on('close', (code) => { resolve({ code }) })
  })
}

/** Starts a writer, kills it in mid write, and checks what it left; many times, on one folder. */
async function killWriters (t: Test, root: string, kills: number): Promise<number> {
  const writer = fileURLToPath(new URL('../helpers/entry-writer.js', import.meta.url))
  const written = new Map<string, number>()
  let next = 1
  for (let kill = 0; kill < kills; kill++) {
    // Without the loaders of the test runner, which take longer to start than this takes to write.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, writer, root, String(next)], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
    await once(child.stdout, 'data')
    const killAt = performance.now() + Math.random() * 10
    await until(() => performance.now() >= killAt)
    child.kill('SIGKILL')
    await once(child, 'close')
    for (const line of output.split('\n').slice(0, -1)) {
      const [key = '', version] = line.split(' ')
      written.set(key, Number(version))
      next = Math.max(next, Number(version) + 1)
    }
    for (const [key, version] of written) {
      const entry = decode(await fs.readFile(fileOf(root, key)), { key, buildId: 'b1' })
      const [body] = entry.bodies
      if (entry.epoch < version || entry.epoch > next + 1) t.fail(`${key} is version ${entry.epoch}, although ${version} had been written`)
      if (body === undefined || !body.bytes.equals(Buffer.alloc(20_000, String(entry.epoch % 10)))) t.fail(`${key} is a mixture`)
    }
    next += 3
  }
  const { disk, errors } = await openDisk(root)
  for (const key of written.keys()) if (await disk.read(key) === null) t.fail(`${key} is not found again`)
  t.same(errors, [])
  return next
}

t.test('kill -9 in mid write leaves every entry whole, the old one or the new one', async (t) => {
  const root = t.testdir({ a: {}, b: {} })
  const written = await Promise.all(['a', 'b'].map(lane => killWriters(t, path.join(root, lane), 25)))
  t.ok(Math.min(...written) > 100, `${written.join(' and ')} versions`)
})
