import { EventEmitter, once } from 'node:events'
import fs, { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join, relative } from 'node:path'
import t, { type Test } from 'tap'
import { watch, type Change, type WatchOptions } from '../../../lib/site/dev/watch.js'

const FILES = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`p${index}.html`, 'x']))
const MANY = Array.from({ length: 100 }, (_, index) => `f${index}.html`)

// A watcher alone keeps no process alive.
const alive = setInterval(() => {}, 60_000)
t.teardown(() => { clearInterval(alive) })

interface Followed {
  dir: string
  warnings: string[]
  /** What has been told and not yet been taken. */
  told: string[]
  close (): void
  /** Everything that is told because of `act`: waits for what is expected, then for a change that was made after it. */
  changes (act: () => unknown, expected: readonly string[]): Promise<string[]>
}

async function follow (t: Test, options: WatchOptions = {}): Promise<Followed> {
  const dir = t.testdir({ pages: { ...FILES, sub: {} }, partials: { 'item.html': 'x' }, many: Object.fromEntries(MANY.map(name => [name, 'x'])) })
  const told: string[] = []
  const warnings: string[] = []
  const news = new EventEmitter()
  const watcher = await watch(dir, (changes: Change[]) => {
    told.push(...changes.map(({ type, path }) => `${type} ${relative(dir, path)}`))
    news.emit('told')
  }, { warn: message => { warnings.push(message) }, ...options })
  t.teardown(() => { watcher.close() })

  let count = 0
  return {
    dir,
    warnings,
    told,
    close: () => { watcher.close() },
    async changes (act, expected) {
      await act()
      while (!expected.every(change => told.includes(change))) await once(news, 'told')
      const last = `added last-${++count}`
      await writeFile(join(dir, `last-${count}`), '')
      while (!told.includes(last)) await once(news, 'told')
      return told.splice(0).filter(change => change !== last)
    }
  }
}

interface Scenario {
  name: string
  act: (dir: string) => unknown
  told: string[]
}

/** Synchronous where it has several steps: how long they take is not what is tested. */
const scenarios: Scenario[] = [
  { name: 'a write in place', act: dir => { writeFileSync(join(dir, 'pages/p1.html'), 'yy') }, told: ['changed pages/p1.html'] },
  {
    name: 'truncate, then write',
    act: dir => {
      truncateSync(join(dir, 'pages/p2.html'))
      writeFileSync(join(dir, 'pages/p2.html'), 'zz')
    },
    told: ['changed pages/p2.html']
  },
  {
    name: 'a temporary file that takes the place',
    act: dir => {
      writeFileSync(join(dir, 'pages/p3.html.tmp'), 'q')
      renameSync(join(dir, 'pages/p3.html.tmp'), join(dir, 'pages/p3.html'))
    },
    told: ['changed pages/p3.html']
  },
  {
    name: 'vim: the old file becomes a backup, a new one is written, the backup goes',
    act: dir => {
      writeFileSync(join(dir, 'pages/4913'), '')
      unlinkSync(join(dir, 'pages/4913'))
      renameSync(join(dir, 'pages/p4.html'), join(dir, 'pages/p4.html~'))
      writeFileSync(join(dir, 'pages/p4.html'), 'v')
      unlinkSync(join(dir, 'pages/p4.html~'))
    },
    told: ['changed pages/p4.html']
  },
  { name: 'a second save after that', act: dir => { appendFileSync(join(dir, 'pages/p4.html'), 'w') }, told: ['changed pages/p4.html'] },
  {
    name: 'a file in a folder in a new folder, all at once',
    act: dir => {
      mkdirSync(join(dir, 'pages/n1/n2'), { recursive: true })
      writeFileSync(join(dir, 'pages/n1/n2/new.html'), 'n')
    },
    told: ['added pages/n1/n2/new.html']
  },
  { name: 'an edit of that file', act: dir => { appendFileSync(join(dir, 'pages/n1/n2/new.html'), 'm') }, told: ['changed pages/n1/n2/new.html'] },
  { name: 'a file that is deleted', act: dir => { unlinkSync(join(dir, 'pages/p5.html')) }, told: ['removed pages/p5.html'] },
  {
    name: 'a folder that is removed and made again at once',
    act: dir => {
      rmSync(join(dir, 'pages/n1'), { recursive: true })
      mkdirSync(join(dir, 'pages/n1'))
      writeFileSync(join(dir, 'pages/n1/again.html'), 'x')
    },
    told: ['added pages/n1/again.html', 'removed pages/n1/n2/new.html']
  },
  { name: 'an edit in that folder', act: dir => { appendFileSync(join(dir, 'pages/n1/again.html'), 'y') }, told: ['changed pages/n1/again.html'] },
  {
    name: 'a folder that gets another name',
    act: dir => { renameSync(join(dir, 'pages/n1'), join(dir, 'pages/n3')) },
    told: ['added pages/n3/again.html', 'removed pages/n1/again.html']
  },
  { name: 'an edit under the new name', act: dir => { appendFileSync(join(dir, 'pages/n3/again.html'), 'z') }, told: ['changed pages/n3/again.html'] },
  {
    name: 'a hundred files at once',
    act: async dir => { await Promise.all(MANY.map(name => writeFile(join(dir, 'many', name), 'g'))) },
    told: MANY.map(name => `changed many/${name}`)
  },
  {
    name: 'a file that becomes a folder',
    act: dir => {
      unlinkSync(join(dir, 'pages/p6.html'))
      mkdirSync(join(dir, 'pages/p6.html'))
      writeFileSync(join(dir, 'pages/p6.html/in.html'), '')
    },
    told: ['added pages/p6.html/in.html', 'removed pages/p6.html']
  }
]

const silent: Omit<Scenario, 'told'>[] = [
  {
    name: 'a file that is touched',
    act: dir => {
      const later = new Date(Date.now() + 60_000)
      utimesSync(join(dir, 'pages/p7.html'), later, later)
    }
  },
  { name: 'a save of the same content', act: dir => { writeFileSync(join(dir, 'pages/p8.html'), 'x') } },
  {
    name: 'a file that another one of the same content replaces',
    act: dir => {
      copyFileSync(join(dir, 'pages/p9.html'), join(dir, 'pages/copy~'))
      renameSync(join(dir, 'pages/copy~'), join(dir, 'pages/p9.html'))
    }
  },
  {
    name: 'what editors leave behind',
    act: dir => {
      mkdirSync(join(dir, 'pages/node_modules'))
      for (const name of ['.p1.html.swp', 'p1.html~', '#p1.html#', '4913', 'p1.html___jb_tmp___', 'node_modules/x.html']) writeFileSync(join(dir, 'pages', name), 'x')
      symlinkSync('nobody@nowhere.1234', join(dir, 'pages/.#p1.html'))
    }
  },
  { name: 'an empty folder', act: dir => { mkdirSync(join(dir, 'empty')) } },
  { name: 'a link in a circle', act: dir => { symlinkSync('..', join(dir, 'pages/circle')) } }
]

/** From now on the system has no watches. */
function exhaust (t: Test, left: number): void {
  const { watch } = fs
  let given = 0
  const watchUntilExhausted = (...args: Parameters<typeof watch>): ReturnType<typeof watch> => {
    if (++given > left) throw Object.assign(new Error('ENOSPC: System limit for number of file watchers reached'), { code: 'ENOSPC' })
    return watch(...args)
  }
  Object.assign(fs, { watch: watchUntilExhausted })
  syncBuiltinESMExports()
  t.teardown(() => {
    Object.assign(fs, { watch })
    syncBuiltinESMExports()
  })
}

const ways: [name: string, options: WatchOptions][] = [
  ['with events of the system', {}],
  ['looking every 20 ms', { poll: 20 }]
]

for (const [way, options] of ways) {
  t.test(`every way to save is one change ${way}`, async t => {
    const { dir, changes, told } = await follow(t, options)
    for (const { name, act, told } of scenarios) {
      // What is gone is told one look later than what is there.
      t.same((await changes(() => act(dir), told)).sort(), [...told].sort(), name)
    }
    for (const { name, act } of silent) t.same(await changes(() => act(dir), []), [], `nothing is told of ${name}`)
    t.same(told, [], 'nothing is told twice')
  })
}

/** Of this process, as the kernel counts them. */
function inotifyWatches (): number {
  return readdirSync('/proc/self/fdinfo')
    .flatMap(fd => {
      try {
        return readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').split('\n')
      } catch {
        return []
      }
    })
    .filter(line => line.startsWith('inotify wd:')).length
}

t.test('there is one inotify watch per folder, and none after the end', { skip: process.platform !== 'linux' && 'inotify is of Linux' }, async t => {
  const before = inotifyWatches()
  const { dir, changes, close } = await follow(t)
  t.equal(inotifyWatches() - before, 5, 'the root, pages, pages/sub, partials and many')

  await changes(async () => {
    await mkdir(join(dir, 'pages/sub/deep'))
    await writeFile(join(dir, 'pages/sub/deep/p.html'), 'x')
  }, ['added pages/sub/deep/p.html'])
  t.equal(inotifyWatches() - before, 6)

  await changes(() => rm(join(dir, 'pages/sub'), { recursive: true }), ['removed pages/sub/deep/p.html'])
  t.equal(inotifyWatches() - before, 4)

  close()
  t.equal(inotifyWatches() - before, 0)
})

t.test('a system without watches is told of once, with what to do about it', async t => {
  exhaust(t, 1)
  const { dir, warnings, changes } = await follow(t)
  t.same(await changes(() => writeFile(join(dir, 'pages/p1.html'), 'y'), ['changed pages/p1.html']), ['changed pages/p1.html'])
  const inNewFolder = ['added pages/new/p.html']
  t.same(await changes(async () => {
    await mkdir(join(dir, 'pages/new'))
    await writeFile(join(dir, 'pages/new/p.html'), 'y')
  }, inNewFolder), inNewFolder)
  t.equal(warnings.length, 1)
  t.match(warnings[0], /can't watch more folders.*ENOSPC.*every 300 ms.*max_user_watches/)
})

t.test('a file that stays empty is told of once', async t => {
  const { dir, changes } = await follow(t)
  const told = ['changed pages/p1.html']
  t.same(await changes(() => writeFile(join(dir, 'pages/p1.html'), ''), told), told)
  t.same(await changes(() => appendFile(join(dir, 'pages/p1.html'), 'x'), told), told)
})

t.test('a file that is away, or empty, for a look is one that was changed', async t => {
  for (const vanish of [(path: string) => { unlinkSync(path) }, (path: string) => { writeFileSync(path, '') }]) {
    const dir = t.testdir({ 'a.html': 'x', looks: {} })
    let looks = 0
    const told: string[] = []
    const news = new EventEmitter()
    const watcher = await watch(dir, changes => {
      told.push(...changes.map(({ type, path }) => `${type} ${relative(dir, path)}`))
      news.emit('told')
    }, {
      // Asked once per look.
      ignore: name => {
        if (name === 'looks' && ++looks === 2) news.emit('second look')
        return false
      }
    })
    t.teardown(() => { watcher.close() })
    const secondLook = once(news, 'second look')
    vanish(join(dir, 'a.html'))
    await secondLook
    writeFileSync(join(dir, 'a.html'), 'y')
    while (told.length === 0) await once(news, 'told')
    t.same(told, ['changed a.html'])
    watcher.close()
  }
})

t.test('a folder that is not there yet, or not any more, is watched when it is', async t => {
  const { dir, changes } = await follow(t)
  const late = join(dir, '.late')
  const told: string[] = []
  const news = new EventEmitter()
  const watcher = await watch([late], found => {
    told.push(...found.map(({ type, path }) => `${type} ${relative(late, path)}`))
    news.emit('told')
  })
  t.teardown(() => { watcher.close() })
  for (const name of ['a', 'b']) {
    const told1 = once(news, 'told')
    await mkdir(late)
    await writeFile(join(late, name), 'x')
    await told1
    const told2 = once(news, 'told')
    await rm(late, { recursive: true })
    await told2
  }
  t.same(told, ['added a', 'removed a', 'added b', 'removed b'])
  t.same(await changes(() => {}, []), [], 'hidden from the other one')
})

t.test('what changes while the listener works is told after that', async t => {
  const dir = t.testdir({ 'a.html': 'x', 'b.html': 'x' })
  const batches: string[][] = []
  const news = new EventEmitter()
  let isWorking = false
  const watcher = await watch(dir, async changes => {
    t.notOk(isWorking, 'one at a time')
    isWorking = true
    batches.push(changes.map(({ path }) => relative(dir, path)))
    if (batches.length === 1) {
      await writeFile(join(dir, 'b.html'), 'y')
      // The event of the write is on its way before the one of this timer.
      await new Promise(resolve => { setTimeout(resolve, 100) })
    }
    isWorking = false
    news.emit('told')
  })
  t.teardown(() => { watcher.close() })
  await writeFile(join(dir, 'a.html'), 'y')
  while (batches.length < 2) await once(news, 'told')
  t.same(batches, [['a.html'], ['b.html']])
})

t.test('a listener that fails is reported, and hears of the next change', async t => {
  const dir = t.testdir({ 'a.html': 'x' })
  const news = new EventEmitter()
  const warnings: [string, Error][] = []
  let calls = 0
  const watcher = await watch(dir, () => {
    news.emit('told')
    if (++calls === 1) throw new Error('no')
  }, {
    warn: (message, error) => { warnings.push([message, error]) }
  })
  t.teardown(() => { watcher.close() })
  for (const text of ['y', 'z']) {
    const told = once(news, 'told')
    await writeFile(join(dir, 'a.html'), text)
    await told
  }
  t.match(warnings, [['the changed files could not be dealt with', { message: 'no' }]])
})

t.test('folders may lie in each other, and their files are told once', async t => {
  const dir = t.testdir({ pages: { 'a.html': 'x' } })
  const told: string[] = []
  const news = new EventEmitter()
  const watcher = await watch([join(dir, 'pages'), dir], changes => {
    told.push(...changes.map(({ path }) => relative(dir, path)))
    news.emit('told')
  })
  t.teardown(() => { watcher.close() })
  await writeFile(join(dir, 'pages/a.html'), 'y')
  await once(news, 'told')
  t.same(told, ['pages/a.html'])
})

t.test('names can be left out', async t => {
  const { dir, changes } = await follow(t, { ignore: name => name === 'sub' || name.endsWith('.log') })
  t.same(await changes(async () => {
    await writeFile(join(dir, 'pages/sub/a.html'), 'y')
    await writeFile(join(dir, 'pages/a.log'), 'y')
  }, []), [])
})

t.test('large files are known by their stamp alone', async t => {
  const { dir, changes } = await follow(t)
  const video = join(dir, 'video.mp4')
  const bytes = Buffer.alloc(1024 * 1024 + 1)
  for (const told of [['added video.mp4'], ['changed video.mp4']]) {
    t.same(await changes(() => { writeFileSync(video, bytes) }, told), told)
  }
})

t.test('nothing is told after the end', async t => {
  const dir = t.testdir({ 'a.html': 'x' })
  const watcher = await watch(dir, () => { t.fail('told') })
  await writeFile(join(dir, 'a.html'), 'y')
  watcher.close()
  const other = await follow(t)
  await other.changes(() => writeFile(join(other.dir, 'pages/p1.html'), 'y'), ['changed pages/p1.html'])
})
