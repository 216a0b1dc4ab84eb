import t, { type Test } from 'tap'
import { createHash } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import type { Mark } from '../../lib/cluster/coordinator.js'
import { LocalCoordinator } from '../../lib/cluster/local.js'
import { MarkLog } from '../../lib/cluster/mark-log.js'
import { TestClock } from '../helpers/engine.js'

type Errors = { operation: string, error: NodeJS.ErrnoException }[]

function makeLog (dir: string, { isNeeded = true, Log = MarkLog } = {}): { log: MarkLog, errors: Errors } {
  const errors: Errors = []
  return { log: new Log(dir, () => isNeeded, (operation, error) => { errors.push({ operation, error }) }), errors }
}

const soft = (tag: string, epoch: number, deadline = Infinity): Mark => ({ kind: 'soft', tag, epoch, deadline })
const hard = (tag: string, epoch: number): Mark => ({ kind: 'hard', tag, epoch, deadline: 0 })

async function read (dir: string): Promise<Mark[]> {
  return await makeLog(dir).log.readNew()
}

function inWords ({ kind, tag, epoch, deadline }: Mark): string {
  return `${kind} ${tag} ${epoch} ${deadline}`
}

/** What the marks of a folder say, in one order; that one is there twice says nothing more. */
async function said (dir: string): Promise<string[]> {
  return [...new Set((await read(dir)).map(inWords))].sort()
}

async function ownFile (dir: string): Promise<string> {
  const [name, ...others] = await fs.readdir(dir)
  if (name === undefined || others.length > 0) throw new Error(`not one file: ${others.length + 1}`)
  return path.join(dir, name)
}

t.test('marks outlive the process, as they were', async (t) => {
  const dir = path.join(t.testdir(), 'deep', 'marks')
  const marks = [soft('blog', 5), soft('\u0001path:/a b', 6, 1234.5), hard('ä "quoted"\\', 7)]
  const { log, errors } = makeLog(dir)
  t.equal(await log.append(marks), true)
  t.equal(await log.append([hard('later', 8)]), true)
  await log.close()
  t.same(await read(dir), [...marks, hard('later', 8)])
  t.same(errors, [])
  t.equal((await fs.stat(await ownFile(dir))).mode & 0o777, 0o600)
})

t.test('a folder that is not there yet holds no marks', async (t) => {
  const { log, errors } = makeLog(path.join(t.testdir(), 'none'))
  t.same(await log.readNew(), [])
  await log.compact()
  t.same(errors, [])
})

t.test('marks that nothing on disk could outlive are not written', async (t) => {
  const dir = path.join(t.testdir(), 'marks')
  t.equal(await makeLog(dir, { isNeeded: false }).log.append([hard('a', 1)]), true)
  await t.rejects(fs.readdir(dir), { code: 'ENOENT' })
})

t.test('processes that share a folder see each other\'s marks, each once', async (t) => {
  const dir = t.testdir()
  const [a, b] = [makeLog(dir).log, makeLog(dir).log]
  await a.append([hard('of-a', 1)])
  t.same(await b.readNew(), [hard('of-a', 1)])
  t.same(await b.readNew(), [])
  t.same(await a.readNew(), [], 'its own are known')
  await a.append([hard('again', 2)])
  await b.append([soft('of-b', 3)])
  t.same(await b.readNew(), [hard('again', 2)])
  t.same(await a.readNew(), [soft('of-b', 3)])
})

t.test('a line that is still being written is read when it is whole', async (t) => {
  const dir = t.testdir()
  const writer = makeLog(dir).log
  const reader = makeLog(dir)
  await writer.append([hard('whole', 1)])
  const file = await ownFile(dir)
  await writer.append([hard('ä torn', 2)])
  const bytes = await fs.readFile(file)
  const lineAt = bytes.lastIndexOf('\n', bytes.length - 2) + 1
  for (let length = lineAt; length < bytes.length; length++) {
    await fs.writeFile(file, bytes.subarray(0, length))
    t.same(await reader.log.readNew(), length === lineAt ? [hard('whole', 1)] : [])
  }
  await fs.writeFile(file, bytes)
  t.same(await reader.log.readNew(), [hard('ä torn', 2)])
  t.same(reader.errors, [])
})

t.test('an altered line is skipped, the others count', async (t) => {
  const dir = t.testdir()
  const { log } = makeLog(dir)
  for (const [i, tag] of ['a', 'b', 'c'].entries()) await log.append([hard(tag, i + 1)])
  const file = await ownFile(dir)
  const bytes = await fs.readFile(file)
  const lines = bytes.toString().split('\n').filter(line => line !== '')
  const start = bytes.indexOf(lines[1] ?? '?')
  for (let at = start; at < start + (lines[1] ?? '').length; at++) {
    const altered = Buffer.from(bytes)
    altered[at] = (altered[at] ?? 0) ^ 1
    await fs.writeFile(file, altered)
    t.same((await read(dir)).map(mark => mark.tag), ['a', 'c'], `byte ${at - start}`)
  }
})

t.test('bytes that are no text do not make later lines unreadable', async (t) => {
  const dir = t.testdir()
  const { log } = makeLog(dir)
  const reader = makeLog(dir).log
  await log.append([hard('first', 1)])
  const file = await ownFile(dir)
  await fs.appendFile(file, Buffer.from([0xff, 0xfe, 0x80, 0x0a]))
  t.same(await reader.readNew(), [hard('first', 1)])
  await log.append([hard('second', 2)])
  t.same(await reader.readNew(), [hard('second', 2)])
})

t.test('a line with a right checksum and another shape is skipped', async (t) => {
  const dir = t.testdir()
  const lines = ['{}', 'null', '["soft"]', '["other","t",1,null]', '["hard",5,1,0]', '["hard","t","1",0]', '["soft","t",1,"x"]', 'no json', '["hard","right",9,0]']
  await fs.writeFile(path.join(dir, '1-0123456789ab.marks'), lines.map(json => `${createHash('sha256').update(json).digest('hex').slice(0, 16)} ${json}\n`).join(''))
  const { log, errors } = makeLog(dir)
  t.same(await log.readNew(), [hard('right', 9)])
  t.same(errors, [])
})

t.test('a log of many marks is read whole', async (t) => {
  const dir = t.testdir()
  const marks = Array.from({ length: 150_000 }, (_, i) => hard(`t${i}`, i + 1))
  await makeLog(dir).log.append(marks)
  t.equal((await read(dir)).length, marks.length)
})

t.test('what is no log of ours is left alone', async (t) => {
  const dir = t.testdir({ 'notes.txt': 'x', 'a.marks': 'x', '1-0123456789ab.marks': t.fixture('symlink', 'notes.txt'), '2-0123456789ab.marks': {} })
  const { log, errors } = makeLog(dir)
  t.same(await log.readNew(), [])
  t.ok(errors.every(({ operation }) => operation === 'read'))
  t.equal((await fs.readdir(dir)).length, 4)
})

/** Logs of processes that have ended long ago. */
async function writeOldLogs (dir: string, logs: Mark[][]): Promise<void> {
  const past = new Date(Date.now() - 7_200_000)
  for (const marks of logs) {
    const before = new Set(await fs.readdir(dir))
    await makeLog(dir).log.append(marks)
    for (const name of await fs.readdir(dir)) if (!before.has(name)) await fs.utimes(path.join(dir, name), past, past)
  }
}

const past: Mark[][] = [
  [hard('a', 1), soft('b', 2), soft('c', 3, 500)],
  [hard('a', 10), soft('b', 4)],
  [soft('c', 5, 900), soft('c', 6, 500)],
  [hard('d', 1)], [hard('e', 1)], [hard('f', 1)], [hard('g', 1)], [soft('g', 20, 7)]
]
const merged = ['hard a 10 0', 'hard d 1 0', 'hard e 1 0', 'hard f 1 0', 'hard g 1 0', 'soft b 4 Infinity', 'soft c 5 900', 'soft c 6 500', 'soft g 20 7']

t.test('merging the files of the past', async (t) => {
  t.test('leaves one file, and of equal orders the newest', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past)
    t.equal((await fs.readdir(dir)).length, 8)
    const { log, errors } = makeLog(dir)
    await log.readNew()
    await log.compact()
    t.equal((await fs.readdir(dir)).length, 1)
    t.same(await said(dir), merged)
    t.same(errors, [])
  })

  t.test('spares what few files hold, and what somebody may still write to', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past.slice(0, 7))
    await makeLog(dir).log.compact()
    t.equal((await fs.readdir(dir)).length, 7)
    await makeLog(dir).log.append([hard('recent', 30)])
    const names = new Set(await fs.readdir(dir))
    await makeLog(dir).log.compact()
    const kept = (await fs.readdir(dir)).filter(name => names.has(name))
    t.equal(kept.length, 1, 'the recent one')
    t.ok((await said(dir)).includes('hard recent 30 0'))
  })

  t.test('loses nothing although this process has nothing on disk yet', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past)
    await makeLog(dir, { isNeeded: false }).log.compact()
    t.same(await said(dir), merged)
  })

  t.test('loses nothing when the disk refuses', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past)
    const before = await said(dir)
    const { Log, faults } = await faultyLog(t)
    const { log, errors } = makeLog(dir, { Log })
    faults.append = 'ENOSPC'
    await log.compact()
    t.match(errors, [{ operation: 'write', error: { code: 'ENOSPC' } }])
    t.same(await said(dir), before)
    faults.append = undefined
    await log.compact()
    t.same(await said(dir), merged, 'the next try succeeds')
    t.equal((await fs.readdir(dir)).length, 1)
  })

  t.test('loses nothing when the process dies in between', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past)
    const before = await said(dir)
    const { Log, faults } = await faultyLog(t)
    // Dies after the files were taken and before they were merged: nothing more is written.
    faults.append = 'EIO'
    faults.unlink = 'EIO'
    await makeLog(dir, { Log }).log.compact()
    t.same(await said(dir), before)
  })

  t.test('takes no mark away from a process that appends at that moment', async (t) => {
    const dir = t.testdir()
    await writeOldLogs(dir, past.slice(0, 7))
    const { Log, between } = await faultyLog(t)
    const { log: writer } = makeLog(dir, { Log })
    const before = new Set(await fs.readdir(dir))
    await writer.append([hard('before', 40)])
    const own = (await fs.readdir(dir)).find(name => !before.has(name)) ?? ''
    const old = new Date(Date.now() - 7_200_000)
    await fs.utimes(path.join(dir, own), old, old)
    // The file is opened, then taken away by the other process, then written to.
    between.append = async () => {
      between.append = undefined
      await makeLog(dir).log.compact()
    }
    t.equal(await writer.append([hard('acknowledged', 41)]), true)
    t.same((await said(dir)).filter(mark => / (40|41) /.test(mark)), ['hard acknowledged 41 0', 'hard before 40 0'])
  })

  t.test('tells other processes nothing twice that matters, and hides nothing from them', async (t) => {
    const dir = t.testdir()
    const reader = makeLog(dir).log
    await writeOldLogs(dir, past.slice(0, 4))
    const first = await reader.readNew()
    t.equal(first.length, past.slice(0, 4).flat().length)
    await writeOldLogs(dir, past.slice(4))
    await makeLog(dir).log.compact()
    const seen = new Set([...first, ...await reader.readNew()].map(inWords))
    t.ok(merged.every(mark => seen.has(mark)))
  })
})

/** The log on a file system with faults. */
async function faultyLog (t: Test): Promise<{ Log: typeof MarkLog, faults: Record<string, string | undefined>, between: { append?: (() => Promise<void>) | undefined } }> {
  const faults: Record<string, string | undefined> = {}
  const between: { append?: (() => Promise<void>) | undefined } = {}
  const check = (name: string): void => {
    if (faults[name] !== undefined) throw Object.assign(new Error(`${faults[name]}: injected`), { code: faults[name] })
  }
  const { MarkLog: Log } = await t.mockImport(new URL('../../lib/cluster/mark-log.js', import.meta.url).href, {
    'node:fs/promises': {
      ...fs,
      async open (file: string, flags: string | number, mode?: number) {
        const handle = await fs.open(file, flags, mode)
        const appendFile = handle.appendFile.bind(handle)
        handle.appendFile = async (text) => {
          await between.append?.()
          // A full disk takes the first bytes, and then no more.
          if (faults.append !== undefined) await appendFile(String(text).slice(0, -5))
          check('append')
          await appendFile(text)
        }
        return handle
      },
      async unlink (file: string) { check('unlink'); await fs.unlink(file) }
    }
  }) as typeof import('../../lib/cluster/mark-log.js')
  return { Log, faults, between }
}

t.test('a disk that refuses makes an order degraded, and spoils none that comes after it', async (t) => {
  const dir = t.testdir()
  const { Log, faults } = await faultyLog(t)
  const { log, errors } = makeLog(dir, { Log })
  t.equal(await log.append([hard('a', 1)]), true)
  faults.append = 'ENOSPC'
  t.equal(await log.append([hard('b', 2)]), false)
  t.match(errors, [{ operation: 'write', error: { code: 'ENOSPC' } }])
  faults.append = undefined
  t.equal(await log.append([hard('c', 3)]), true)
  t.same((await read(dir)).map(mark => mark.tag), ['a', 'c'], 'what was acknowledged is there')
})

t.test('the local coordinator', async (t) => {
  const order = { kind: 'hard' as const, tag: 't', deadline: 0 }
  const start = async (coordinator: LocalCoordinator): Promise<Mark[]> => {
    const delivered: Mark[] = []
    await coordinator.start({ mark (mark) { delivered.push(mark) } })
    return delivered
  }

  t.test('puts every later order above a render that has begun, and every earlier one not above it', async (t) => {
    const clock = new TestClock()
    const coordinator = new LocalCoordinator(clock.read, null)
    await start(coordinator)
    for (const step of [0, 0.001, 0, -10, 0, 3600]) {
      clock.forward(step)
      const before = coordinator.now().epoch
      const { epoch } = await coordinator.order([order])
      t.ok(epoch > before)
      t.ok(coordinator.now().epoch >= epoch)
    }
  })

  t.test('gives the orders of one call one moment, and applies them before it waits for the disk', async (t) => {
    const { log } = makeLog(t.testdir())
    const coordinator = new LocalCoordinator(new TestClock().read, log)
    const delivered = await start(coordinator)
    const promise = coordinator.order([order, { kind: 'soft', tag: 'u', deadline: 5 }])
    t.equal(delivered.length, 2)
    const { marks, epoch, degraded } = await promise
    t.same(marks, delivered)
    t.same(marks, [{ ...order, epoch }, { kind: 'soft', tag: 'u', deadline: 5, epoch }])
    t.equal(degraded, false)
  })

  t.test('delivers orders that were given before it started', async (t) => {
    for (const log of [null, makeLog(t.testdir()).log]) {
      const coordinator = new LocalCoordinator(new TestClock().read, log)
      const { marks } = await coordinator.order([order])
      t.same(await start(coordinator), marks)
    }
  })

  t.test('knows the orders of its predecessor, also when the clock has gone back since', async (t) => {
    const dir = t.testdir()
    const clock = new TestClock()
    const first = new LocalCoordinator(clock.read, makeLog(dir).log)
    await start(first)
    const { marks, epoch } = await first.order([order])
    await first.close()
    clock.forward(-3600)
    const second = new LocalCoordinator(clock.read, makeLog(dir).log)
    t.same(await start(second), marks)
    t.ok(second.now().epoch >= epoch, 'what is rendered now is newer than the order')
    t.ok((await second.order([order])).epoch > epoch)
  })

  t.test('hears of the orders of others when it catches up', async (t) => {
    const dir = t.testdir()
    const clock = new TestClock()
    const [a, b] = [new LocalCoordinator(clock.read, makeLog(dir).log), new LocalCoordinator(clock.read, makeLog(dir).log)]
    const [toA, toB] = [await start(a), await start(b)]
    const { marks, epoch } = await a.order([order])
    await b.catchUp()
    t.same(toB, marks)
    await b.catchUp()
    t.equal(toB.length, 1)
    t.ok(b.now().epoch >= epoch)
    await a.catchUp()
    t.equal(toA.length, 1, 'its own only once')
  })

  t.test('says so when an order holds in this process only', async (t) => {
    const dir = path.join(t.testdir({ file: '' }), 'file')
    const { log, errors } = makeLog(dir)
    const coordinator = new LocalCoordinator(new TestClock().read, log)
    const delivered = await start(coordinator)
    t.match(await coordinator.order([order]), { degraded: true })
    t.equal(delivered.length, 1)
    t.ok(errors.some(({ operation }) => operation === 'write'))
  })
})
