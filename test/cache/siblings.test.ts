import t, { type Test } from 'tap'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { decode, encode } from '../../lib/cache/codec.js'
import { entryFile, type DiskTierOptions } from '../../lib/cache/disk-tier.js'
import { NameSet } from '../../lib/cache/name-set.js'
import type { Entry } from '../../lib/cache/entry.js'
import { makeDisk, makeEntryOf, textOf, until, type TestDisk } from '../helpers/engine.js'
import { versionOf } from '../helpers/sibling-writer.js'

const version = (epoch: number, key = '/', more: Partial<Entry> = {}): Entry =>
  makeEntryOf(key, { epoch, bodies: [{ encoding: 'identity', bytes: Buffer.from(`v${epoch}`) }], ...more })

function fileOf (root: string, key: string): string {
  return path.join(root, entryFile('b1', key))
}

async function filesIn (root: string): Promise<string[]> {
  return (await fs.readdir(root, { recursive: true, withFileTypes: true })).filter(file => file.isFile()).map(file => file.name)
}

async function openDisk (root: string, options: Partial<DiskTierOptions> = {}, built: { key: string, bytes: number }[] = []): Promise<TestDisk> {
  const made = makeDisk(root, options)
  const names = new NameSet()
  for (const { key } of built) names.add(path.basename(entryFile('b1', key)))
  made.disk.open(names)
  await made.disk.scanned
  return made
}

/** Two processes, as far as the disk can tell. */
async function openTwo (t: Test, options: Partial<DiskTierOptions> = {}): Promise<{ root: string, a: TestDisk, b: TestDisk }> {
  const root = t.testdir()
  return { root, a: await openDisk(root, options), b: await openDisk(root, options) }
}

/** A tier that counts what it asks of the file system. */
async function openCounted (t: Test, root: string): Promise<{ disk: TestDisk['disk'], calls: string[] }> {
  const calls: string[] = []
  const { DiskTier } = await t.mockImport(new URL('../../lib/cache/disk-tier.js', import.meta.url).href, {
    'node:fs/promises': Object.fromEntries(Object.entries(fs).map(([name, value]) => [name, typeof value !== 'function'
      ? value
      : (...args: unknown[]) => {
          calls.push(name)
          return (value as (...args: unknown[]) => unknown)(...args)
        }]))
  }) as typeof import('../../lib/cache/disk-tier.js')
  const disk = new DiskTier({ root, buildId: 'b1', maxBytes: 1e6, writeBack: true, onError: (_operation, _key, error) => { throw error }, onWorking: () => {} })
  disk.open()
  await disk.scanned
  calls.length = 0
  return { disk, calls }
}

t.test('what a sibling writes', async (t) => {
  t.test('is found by who would have to render it, and known from then on', async (t) => {
    const { a, b } = await openTwo(t)
    await a.disk.write(version(1))
    t.equal(b.disk.mayHave('/'), false, 'nobody looks before that')
    t.equal(await b.disk.read('/'), null)
    t.equal(textOf(await b.disk.newer('/', null) as Entry), 'v1')
    t.equal(textOf(await b.disk.read('/') as Entry), 'v1')
    t.equal(b.disk.bytes, a.disk.bytes)
    t.same([...a.errors, ...b.errors], [])
  })

  t.test('counts only if it is newer than what the caller has', async (t) => {
    const { a, b } = await openTwo(t)
    await a.disk.write(version(2))
    t.equal(await b.disk.newer('/', version(2)), null)
    t.equal(await b.disk.newer('/', version(3)), null)
    t.equal((await b.disk.newer('/', version(1)))?.epoch, 2)
    t.equal(await b.disk.newer('/', version(2, '/', { renderedAt: Number.MAX_SAFE_INTEGER })), null)
    await a.disk.write(version(4))
    t.equal((await b.disk.newer('/', version(3)))?.epoch, 4)
    await b.disk.write(version(5))
    t.equal(await b.disk.newer('/', version(5)), null, 'its own is not news')
    t.equal((await a.disk.newer('/', version(4)))?.epoch, 5)
    t.equal((await b.disk.newer('/', null))?.epoch, 5, 'to who has nothing, it is')
  })

  t.test('costs one look when it is not there, or when nothing has happened since', async (t) => {
    const root = t.testdir()
    const { disk, calls } = await openCounted(t, root)
    const sibling = await openDisk(root)
    t.equal(disk.mayHave('/'), false)
    t.same(calls, [])
    t.equal(await disk.newer('/', null), null)
    t.same(calls.splice(0), ['lstat'])
    await disk.write(version(1))
    calls.length = 0
    t.equal(await disk.newer('/', version(1)), null)
    t.same(calls.splice(0), ['lstat'], 'after it has written it')
    await sibling.disk.write(version(2))
    t.equal((await disk.newer('/', version(1)))?.epoch, 2)
    calls.length = 0
    t.equal(await disk.newer('/', version(2)), null)
    t.same(calls, ['lstat'], 'after it has read it')
  })

  t.test('is told from the file before, of equal size and written in the same moment', async (t) => {
    const { a, b } = await openTwo(t)
    const write = async (epoch: number): Promise<void> => { await a.disk.write(version(epoch)) }
    for (let epoch = 100; epoch < 300; epoch += 2) {
      await write(epoch)
      t.equal((await b.disk.newer('/', version(epoch - 1)))?.epoch, epoch)
      // The number of the file that b has seen is free again after the first of them.
      await write(epoch + 1)
    }
    t.equal((await b.disk.newer('/', version(1)))?.epoch, 299)
  })

  t.test('is found while the first look is still under way, and what this process writes at that moment is no news', async (t) => {
    const { root, a } = await openTwo(t)
    await a.disk.write(version(1))
    const { disk } = makeDisk(root)
    disk.open()
    t.equal((await disk.newer('/', null))?.epoch, 1)
    await disk.scanned
    t.equal(disk.entries, 1)
    const writing = disk.write(version(2))
    t.equal((await disk.newer('/', version(1)))?.epoch, 2)
    t.equal(await disk.newer('/', version(2)), null)
    await writing
    const deleting = disk.delete('/')
    t.equal(await disk.newer('/', null), null)
    await deleting
    const looking = disk.newer('/', version(2))
    await disk.write(version(3))
    t.equal((await looking)?.epoch, 3, 'written while it looked')
  })

  t.test('and is broken, or of another build or key, is a miss, reported and removed', async (t) => {
    const { root, a, b } = await openTwo(t)
    for (const bytes of [Buffer.from('broken'), encode(version(9, '/other')), encode(version(9, '/', { buildId: 'b2' })), encode(version(9)).subarray(0, -1)]) {
      await a.disk.write(version(1))
      await fs.writeFile(fileOf(root, '/'), bytes)
      t.equal(await b.disk.newer('/', null), null)
      t.match(b.errors.splice(0), [{ operation: 'read', key: '/', error: { code: 'FST_ISR_ERR_BAD_ENTRY' } }])
      t.same(await filesIn(root), [])
      t.equal(await b.disk.newer('/', null), null)
      t.same(b.errors, [])
    }
  })

  t.test('on a disk that can\'t be asked is a miss', async (t) => {
    const root = t.testdir({ file: '' })
    const { disk, errors } = makeDisk(path.join(root, 'file'))
    t.equal(await disk.newer('/', null), null)
    t.match(errors, [{ operation: 'read', key: '/', error: { code: 'ENOTDIR' } }])
    await disk.close()
    t.equal(await disk.newer('/', null), null)
    t.equal(errors.length, 1, 'when closed it asks nothing')
  })

  t.test('is believed where this process could not write, if it is newer than that', async (t) => {
    const { root, a } = await openTwo(t)
    const b = await openDisk(root, { writeBack: false })
    await a.disk.write(version(1))
    await b.disk.write(version(3))
    t.equal(await b.disk.newer('/', null), null)
    await a.disk.write(version(2))
    t.equal(await b.disk.newer('/', null), null, 'older than a page that visitors have seen')
    t.equal(await b.disk.read('/'), null)
    await a.disk.write(version(4))
    t.equal((await b.disk.newer('/', version(3)))?.epoch, 4)
    t.equal((await b.disk.read('/'))?.epoch, 4)
    await b.disk.delete('/')
    t.equal(await b.disk.newer('/', null), null)
  })
})

t.test('a write', async (t) => {
  t.test('never replaces a newer entry of a sibling', async (t) => {
    const { root, a, b } = await openTwo(t)
    await a.disk.write(version(2))
    await b.disk.write(version(1))
    t.equal((await openDisk(root)).disk.entries, 1)
    t.equal((await b.disk.read('/'))?.epoch, 2)
    t.equal(b.disk.bytes, encode(version(2)).length)
    await b.disk.write(version(2, '/', { renderedAt: 1 }))
    t.equal((await a.disk.read('/'))?.renderedAt, version(2).renderedAt)
    await b.disk.write(version(3))
    t.equal((await a.disk.read('/'))?.epoch, 3)
    t.equal((await filesIn(root)).length, 1)
    t.same([...a.errors, ...b.errors], [])
  })

  t.test('replaces what is no entry, however young', async (t) => {
    const { root, a, b } = await openTwo(t)
    await a.disk.write(version(1))
    await fs.writeFile(fileOf(root, '/'), encode(version(9)).subarray(1))
    await b.disk.write(version(2))
    t.equal((await a.disk.read('/'))?.epoch, 2)
  })

  t.test('replaces an entry from a time that is yet to come: a clock has gone back', async (t) => {
    const { root, a } = await openTwo(t)
    const b = await openDisk(root, { comparable: entry => entry.incarnation === undefined && entry.epoch > 100 ? { ...entry, epoch: 0 } : entry })
    await a.disk.write(version(1000))
    await b.disk.write(version(100, '/', { renderedAt: version(1).renderedAt + 1 }))
    t.equal((await a.disk.read('/'))?.epoch, 100)
    const redis = { incarnation: 'i1', renderedAt: version(1).renderedAt + 2 }
    await a.disk.write(version(1000, '/', redis))
    await b.disk.write(version(101, '/', redis))
    t.equal((await a.disk.read('/'))?.epoch, 1000, 'time of Redis is another matter')
  })

  t.test('of the same moment as another: the newer one stands, whoever comes first', async (t) => {
    const root = t.testdir()
    const disks = await Promise.all(Array.from({ length: 8 }, async () => await openDisk(root)))
    for (let round = 0; round < 20; round++) {
      const epochs = disks.map((_, i) => round * 100 + (i * 7 + round * 3) % 8)
      await Promise.all(disks.map(({ disk }, i) => disk.write(version(epochs[i] ?? 0))))
      const [, ...others] = await filesIn(root)
      t.same(others, [], 'no lock and no temporary file is left')
      t.equal(decode(await fs.readFile(fileOf(root, '/')), version(0)).epoch, Math.max(...epochs))
    }
    t.same(disks.flatMap(({ errors }) => errors), [])
  })

  t.test('goes on after a sibling has died with the lock', async (t) => {
    const { root, a, b } = await openTwo(t)
    await a.disk.write(version(1))
    const lock = `${fileOf(root, '/')}.lock`
    await fs.writeFile(lock, '')
    let isDone = false
    const writes = Promise.all([a.disk.write(version(2)), b.disk.write(version(3))]).then(() => { isDone = true })
    const now = performance.now.bind(performance)
    const startedAt = now()
    await until(() => now() - startedAt > 50)
    t.equal(isDone, false)
    t.equal((await a.disk.read('/'))?.epoch, 2, 'nobody waits for that')
    // Time flies; nobody waits for it here.
    t.intercept(performance, 'now', { value: () => now() + 2500, configurable: true })
    await writes
    t.equal(decode(await fs.readFile(fileOf(root, '/')), version(0)).epoch, 3)
    t.equal((await filesIn(root)).length, 1)
  })

  t.test('that has stood still for too long begins again', async (t) => {
    const root = t.testdir()
    const sibling = await openDisk(root)
    const now = performance.now.bind(performance)
    let passed = 0
    t.intercept(performance, 'now', { value: () => now() + passed, configurable: true })
    let between: (() => Promise<void>) | null = null
    const { DiskTier } = await t.mockImport(new URL('../../lib/cache/disk-tier.js', import.meta.url).href, {
      'node:fs/promises': {
        ...fs,
        async lstat (file: string) {
          const facts = await fs.lstat(file).catch((error: unknown) => error)
          if (!file.endsWith('.lock') && between !== null) {
            const work = between
            between = null
            await work()
          }
          if (facts instanceof Error) throw facts
          return facts
        }
      }
    }) as typeof import('../../lib/cache/disk-tier.js')
    const disk = new DiskTier({ root, buildId: 'b1', maxBytes: 1e6, writeBack: true, onError: () => {}, onWorking: () => {} })
    await sibling.disk.write(version(1))
    await disk.read('/')
    between = async () => {
      // Looked already, and saw version 1. Then its lock is taken over.
      await fs.unlink(`${fileOf(root, '/')}.lock`)
      await sibling.disk.write(version(3))
      passed = 1500
    }
    await disk.write(version(2))
    t.equal(between, null)
    t.equal((await sibling.disk.read('/'))?.epoch, 3)
    t.equal((await filesIn(root)).length, 1)
  })
})

t.test('a sibling that removes entries', async (t) => {
  t.test('makes misses, never errors', async (t) => {
    const { root, a, b } = await openTwo(t)
    await a.disk.write(version(1))
    await b.disk.newer('/', null)
    await a.disk.delete('/')
    t.equal(b.disk.mayHave('/'), true)
    t.equal(await b.disk.read('/'), null)
    t.equal(b.disk.mayHave('/'), false)
    t.equal(b.disk.bytes, 0)
    await a.disk.write(version(2))
    await b.disk.newer('/', null)
    await fs.rm(root, { recursive: true })
    t.equal(await b.disk.newer('/', version(2)), null)
    t.equal(b.disk.entries, 0)
    await a.disk.delete('/')
    await b.disk.write(version(3))
    await fs.rm(root, { recursive: true })
    await b.disk.delete('/', version(3))
    await b.disk.write(version(4))
    t.equal((await b.disk.read('/'))?.epoch, 4)
    t.same([...a.errors, ...b.errors], [])
  })

  t.test('leaves what is newer than what it wanted to remove', async (t) => {
    const { root, a, b } = await openTwo(t)
    await a.disk.write(version(1))
    await b.disk.newer('/', null)
    await b.disk.write(version(2))
    await a.disk.delete('/', version(1))
    t.equal((await b.disk.read('/'))?.epoch, 2)
    t.equal((await a.disk.read('/'))?.epoch, 2, 'and knows it now')
    await b.disk.write(version(2, '/', { renderedAt: version(2).renderedAt + 1 }))
    const deleting = a.disk.delete('/', version(2))
    t.equal(await a.disk.read('/'), null)
    t.equal((await a.disk.newer('/', null))?.epoch, 2, 'and can have it while it still removes the old one')
    await deleting
    const again = a.disk.delete('/', version(3))
    t.equal(await a.disk.newer('/', null), null)
    await again
    t.same(await filesIn(root), [])
    await a.disk.write(version(3))
    await b.disk.newer('/', null)
    await b.disk.write(version(4))
    await a.disk.delete('/')
    t.same(await filesIn(root), [], 'unless it must go in any case')
  })

  t.test('leaves a newer entry alone when its own is too large', async (t) => {
    const root = t.testdir()
    const [a, b] = [await openDisk(root, { maxBytes: 3000 }), await openDisk(root, { maxBytes: 3000 })]
    const large = { bodies: [{ encoding: 'identity', bytes: Buffer.alloc(4000) }] }
    await a.disk.write(version(2))
    await b.disk.write(version(1, '/', large))
    t.equal((await a.disk.read('/'))?.epoch, 2)
    await b.disk.write(version(3, '/', large))
    t.equal(await a.disk.read('/'), null)
  })

  t.test('for want of room: all count what is there', async (t) => {
    const root = t.testdir()
    const bytes = encode(version(1, '/0')).length
    const [a, b] = [await openDisk(root, { maxBytes: bytes * 8 }), await openDisk(root, { maxBytes: bytes * 8 })]
    for (let i = 0; i < 40; i++) {
      await a.disk.write(version(1, `/${i % 10}`))
      await b.disk.write(version(1, `/${i % 10 + 10}`))
      await Promise.all([a.disk.scanned, b.disk.scanned])
      const files = (await filesIn(root)).length
      if (files > 12) t.fail(`${files} files`)
    }
    await Promise.all([a.disk.scanned, b.disk.scanned])
    t.ok(Math.max(a.disk.bytes, b.disk.bytes) <= bytes * 8)
    t.ok(await a.disk.newer('/19', null), 'the youngest is still there')
    t.same([...a.errors, ...b.errors], [])
  })
})

const WRITER = fileURLToPath(new URL('../helpers/sibling-writer.js', import.meta.url))

interface Writer {
  readonly child: ChildProcess
  /** Newest version that it has written, per key. */
  readonly newest: Map<string, number>
  readonly ready: Promise<unknown>
  readonly done: Promise<unknown>
  writes: number
}

function startWriter (root: string, writes: number): Writer {
  // Without the loaders of the test runner, which take longer to start than this takes to write.
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, WRITER, root, String(writes)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const newest = new Map<string, number>()
  const lines = createInterface(child.stdout)
  const ready = once(lines, 'line')
  const writer: Writer = { child, newest, ready, done: once(child, 'close'), writes: 0 }
  lines.on('line', (line) => {
    const [key = '', epoch] = line.split(' ')
    if (epoch === undefined) return
    writer.writes++
    newest.set(key, Math.max(newest.get(key) ?? 0, Number(epoch)))
  })
  return writer
}

function isRunning ({ child }: Writer): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** Throws for anything but a whole version. */
async function wholeOf (root: string, key: string): Promise<number> {
  const entry = decode(await fs.readFile(fileOf(root, key)), { key, buildId: 'b1' })
  if (!entry.bodies[0]?.bytes.equals(versionOf(key, entry.epoch).bodies[0]?.bytes ?? Buffer.alloc(0))) throw new Error(`${key} is a mixture`)
  return entry.epoch
}

t.test('many processes that write the same entries at once: always whole, and in the end the newest', async (t) => {
  const rounds = Number(process.env.ROUNDS ?? 3)
  const base = t.testdir()
  const [processes, writes] = [6, 150]
  let reads = 0
  let total = 0
  for (let round = 0; round < rounds; round++) {
    const root = path.join(base, String(round))
    await fs.mkdir(root)
    const writers = Array.from({ length: processes }, () => startWriter(root, writes))
    await Promise.all(writers.map(writer => writer.ready))
    for (const { child } of writers) child.stdin?.write('go\n')
    const last = new Map<string, number>()
    while (writers.some(isRunning)) {
      for (const key of ['/0', '/1', '/2']) {
        const epoch = await wholeOf(root, key).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT' || last.has(key)) throw error
          return 0
        })
        if (epoch < (last.get(key) ?? 0)) t.fail(`${key}: version ${epoch} after ${last.get(key)}`)
        if (epoch > 0) last.set(key, epoch)
        reads++
      }
    }
    await Promise.all(writers.map(writer => writer.done))
    for (const key of ['/0', '/1', '/2']) {
      const newest = Math.max(...writers.map(writer => writer.newest.get(key) ?? 0))
      const there = await wholeOf(root, key)
      if (there !== newest) t.fail(`round ${round}: ${key} is version ${there}, the newest is ${newest}`)
    }
    total += writers.reduce((sum, writer) => sum + writer.writes, 0)
    t.equal((await filesIn(root)).length, 3, 'no lock and no temporary file is left')
  }
  t.equal(total, rounds * processes * writes)
  t.comment(`${total} writes, ${reads} reads`)
})

t.test('of many writers some are killed: the others go on, and no version of theirs is lost', async (t) => {
  const root = t.testdir()
  let killed = 0
  const steady = [startWriter(root, 400), startWriter(root, 400)]
  await Promise.all(steady.map(writer => writer.ready))
  for (const { child } of steady) child.stdin?.write('go\n')
  const victims: Writer[] = []
  while (steady.some(isRunning) && killed < 12) {
    const victim = startWriter(root, 1e6)
    victims.push(victim)
    await victim.ready
    victim.child.stdin?.write('go\n')
    const most = 1 + Math.random() * 20
    await until(() => victim.writes > most)
    victim.child.kill('SIGKILL')
    await victim.done
    killed++
  }
  await Promise.all(steady.map(writer => writer.done))
  for (const key of ['/0', '/1', '/2']) {
    const newest = Math.max(...[...steady, ...victims].map(writer => writer.newest.get(key) ?? 0))
    const there = await wholeOf(root, key)
    // A victim may have put there what it could not tell of any more.
    if (there < newest) t.fail(`${key} is version ${there}, the newest is ${newest}`)
  }
  t.ok(killed > 0, `${killed} killed`)
})
