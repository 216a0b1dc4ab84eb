import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { IsrTier, IsrTierRecord, IsrTierVersion } from '../../types/index.js'

/** One thing that a tier must do. */
export interface TierCase {
  readonly name: string
  /** Rejects with an `AssertionError`, or with what the tier rejected with. */
  readonly run: () => Promise<void>
}

/** Each call gives another client of one and the same place. What lies there already does not matter. */
export type MakeTier = () => IsrTier | Promise<IsrTier>

const MiB = 1024 * 1024
const MAX_BYTES = 256 * MiB
/** Milliseconds; whatever takes longer hangs. */
const PATIENCE = 30_000
const WRITERS = 40

/**
 * What every tier must do, for any test runner:
 *
 * ```js
 * import { test } from 'node:test'
 * import { tierContract } from 'fastify-isr/test'
 *
 * for (const { name, run } of tierContract(() => new MyTier())) test(name, () => run())
 * ```
 */
export function tierContract (makeTier: MakeTier): TierCase[] {
  return Object.entries(cases).map(([name, check]) => ({
    name,
    async run () {
      const tiers: Trial[] = []
      const open = async (): Promise<Trial> => {
        const trial = new Trial(await makeTier())
        tiers.push(trial)
        return trial
      }
      try {
        await check(await open(), nameOf(randomBytes(6).toString('hex')), open)
      } finally {
        for (const { tier, isClosed } of tiers) if (!isClosed) await tier.close?.()
      }
    }
  }))
}

/** A tier that is watched: what it resolves with is of the right kind, and nothing hangs. */
class Trial {
  readonly tier: IsrTier
  isClosed = false

  constructor (tier: IsrTier) {
    this.tier = tier
  }

  async get (name: string, maxBytes = MAX_BYTES): Promise<Buffer | null> {
    const bytes = await inTime('get', this.tier.get(name, { maxBytes }))
    assert(bytes === null || Buffer.isBuffer(bytes), `get must resolve with a Buffer or null, not with ${describe(bytes)}`)
    return bytes
  }

  async text (name: string): Promise<string | null> {
    return (await this.get(name))?.toString() ?? null
  }

  async set (name: string, body: string | Buffer, version: IsrTierVersion, maxAge = 3600): Promise<boolean> {
    const record: IsrTierRecord = { bytes: Buffer.isBuffer(body) ? body : Buffer.from(body), version, maxAge }
    return boolean('set', await inTime('set', this.tier.set(name, record)))
  }

  async delete (name: string, version: IsrTierVersion): Promise<boolean> {
    return boolean('delete', await inTime('delete', this.tier.delete(name, version)))
  }

  /** It stands, says the tier, and there is something else then or there is not. */
  async sets (name: string, body: string | Buffer, version: IsrTierVersion): Promise<void> {
    assert.equal(await this.set(name, body, version), true, `set must resolve with true: ${show(version)} replaces what is there`)
    assert((await this.get(name))?.equals(Buffer.from(body)), 'what was set must be there')
  }

  async refuses (name: string, version: IsrTierVersion): Promise<void> {
    const before = await this.get(name)
    assert.equal(await this.set(name, 'refused', version), false, `set must resolve with false: ${show(version)} is older than what is there`)
    assert.deepEqual(await this.get(name), before, 'what is there must stay when something older is set')
  }

  async close (): Promise<void> {
    this.isClosed = true
    await inTime('close', this.tier.close?.() ?? Promise.resolve())
  }
}

type Check = (trial: Trial, name: string, open: () => Promise<Trial>) => Promise<void>

const cases: Record<string, Check> = {
  'has a name and is up': async ({ tier }) => {
    assert(typeof tier.name === 'string' && tier.name !== '', 'a tier has a name')
    assert(tier.isUp === undefined || tier.isUp === true, 'isUp is true, or left out')
  },

  'resolves with null when there is nothing': async (trial, name) => {
    assert.equal(await trial.get(name), null)
  },

  'gives back what was set': async (trial, name) => {
    await trial.sets(name, 'hello', at(1))
  },

  'keeps every byte': async (trial, name) => {
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
    await trial.sets(name, Buffer.concat([all, Buffer.from('\r\n\0\n'), Buffer.from(all).reverse()]), at(1))
    await trial.sets(name, Buffer.from([0x1f, 0x8b, 0x08, 0x00]), at(2))
    await trial.sets(name, Buffer.from('{"json":1}\n'), at(3))
  },

  'keeps an empty value apart from none': async (trial, name) => {
    await trial.sets(name, '', at(1))
    await trial.refuses(name, at(0))
  },

  'keeps 5 MiB': async (trial, name) => {
    await trial.sets(name, randomBytes(5 * MiB), at(1))
  },

  'does not mistake a name for another': async (trial, name) => {
    const hash = name.slice(name.indexOf('/') + 1)
    const build = name.slice(0, name.indexOf('/'))
    const names = [
      name, `${build}x/${hash}`, `${build.slice(0, -1)}/${hash}`, `${build.toUpperCase()}/${hash}`, `${build}./${hash}`, `${build}.._/${hash}`,
      `${build}-_.-/${hash}`, `${build.padEnd(128, 'long')}/${hash}`, nameOf(build)
    ]
    for (const [index, each] of names.entries()) await trial.sets(each, `value ${index}`, at(1))
    for (const [index, each] of names.entries()) assert.equal(await trial.text(each), `value ${index}`, `the value of ${each}`)
    assert.equal(await trial.delete(name, at(1)), true)
    assert.equal(await trial.text(names[1] as string), 'value 1', 'deleting one name must not delete another')
  },

  'lets the higher epoch win': async (trial, name) => {
    await trial.sets(name, 'a', at(9, 2000))
    // As text, 10 comes before 9.
    await trial.sets(name, 'b', at(10, 1000))
    await trial.refuses(name, at(9, 3000))
    await trial.sets(name, 'c', at(1_700_000_000_000_001))
    await trial.refuses(name, at(1_700_000_000_000_000, 9_000_000_000_000))
    await trial.sets(name, 'd', at(Number.MAX_SAFE_INTEGER))
    await trial.refuses(name, at(Number.MAX_SAFE_INTEGER - 1))
  },

  'lets the later one win within an epoch': async (trial, name) => {
    await trial.sets(name, 'a', at(7, 999))
    await trial.sets(name, 'b', at(7, 1000))
    await trial.refuses(name, at(7, 999))
    await trial.sets(name, 'c', at(7, 1_700_000_000_000))
  },

  'replaces an equal version': async (trial, name) => {
    await trial.sets(name, 'a', at(7, 1000))
    await trial.sets(name, 'b', at(7, 1000))
  },

  'replaces a version of another incarnation, whatever its epoch': async (trial, name) => {
    await trial.sets(name, 'a', at(100, 5000, 'first'))
    await trial.sets(name, 'b', at(1, 1000, 'second'))
    await trial.refuses(name, at(0, 9000, 'second'))
    await trial.sets(name, 'c', at(0, 0, 'first'))
  },

  'takes a version without incarnation for older than any other': async (trial, name) => {
    await trial.sets(name, 'a', at(100, 5000, ''))
    await trial.refuses(name, at(99, 6000, ''))
    await trial.sets(name, 'b', at(101, 5000, ''))
    await trial.sets(name, 'c', at(1, 1000, 'first'))
    await trial.refuses(name, at(1000, 9000, ''))
    assert.equal(await trial.delete(name, at(1000, 9000, '')), false, 'what has no incarnation must not delete what has one')
    assert.equal(await trial.text(name), 'c')
  },

  'deletes what is not newer': async (trial, name) => {
    for (const version of [at(5, 1000), at(5, 1001), at(6, 0), at(0, 0, 'second')]) {
      await trial.sets(name, 'a', at(5, 1000))
      assert.equal(await trial.delete(name, version), true, `delete must resolve with true: nothing newer than ${show(version)} is there`)
      assert.equal(await trial.get(name), null, 'what was deleted must be gone')
    }
  },

  'leaves what is newer': async (trial, name) => {
    await trial.sets(name, 'a', at(5, 1000))
    for (const version of [at(5, 999), at(4, 9000)]) {
      assert.equal(await trial.delete(name, version), false, `delete must resolve with false: something newer than ${show(version)} is there`)
      assert.equal(await trial.text(name), 'a', 'what is newer must stay')
    }
  },

  'deletes nothing, and says that nothing is there': async (trial, name) => {
    assert.equal(await trial.delete(name, at(1)), true)
  },

  'remembers no version of what was deleted': async (trial, name) => {
    await trial.sets(name, 'a', at(5))
    await trial.delete(name, at(5))
    await trial.sets(name, 'b', at(1))
  },

  'has nothing larger than maxBytes': async (trial, name) => {
    await trial.sets(name, Buffer.alloc(1000, 'x'), at(1))
    assert.equal((await trial.get(name, 1000))?.length, 1000, 'exactly maxBytes is not larger')
    assert.equal(await trial.get(name, 999), null)
  },

  'shares with another client': async (trial, name, open) => {
    const other = await open()
    await trial.sets(name, 'a', at(1))
    assert.equal(await other.text(name), 'a')
    await other.sets(name, 'b', at(2))
    assert.equal(await trial.text(name), 'b')
    await trial.refuses(name, at(1))
    assert.equal(await other.delete(name, at(2)), true)
    assert.equal(await trial.get(name), null)
  },

  'lets the newest of many writers win': async (trial, name, open) => {
    const trials = [trial, await open()]
    const epochs = shuffled(WRITERS)
    const stored = await Promise.all(epochs.map(async (epoch, index) => await (trials[index % 2] as Trial).set(name, `of epoch ${epoch}`, at(epoch))))
    assert.equal(await trial.text(name), `of epoch ${WRITERS}`)
    assert.equal(stored[epochs.indexOf(WRITERS)], true, 'the newest was stored')
  },

  'lets the newest of many equal values win': async (trial, name, open) => {
    const trials = [trial, await open()]
    await Promise.all(shuffled(WRITERS).map(async (epoch, index) => await (trials[index % 2] as Trial).set(name, 'all the same', at(epoch))))
    await trial.refuses(name, at(WRITERS - 1))
  },

  'lets a writer win over a delete of something older': async (trial, name, open) => {
    const other = await open()
    for (let round = 0; round < 5; round++) {
      const epoch = round * 10
      await Promise.all([
        trial.set(name, 'older', at(epoch + 1)), other.delete(name, at(epoch + 2)),
        other.set(name, `round ${round}`, at(epoch + 3)), trial.delete(name, at(epoch + 2))
      ])
      assert.equal(await trial.text(name), `round ${round}`)
    }
  },

  'shows readers whole values that never get older': async (trial, name, open) => {
    const reader = await open()
    const valueOf = (epoch: number): Buffer => Buffer.alloc(20_000 + epoch * 1000, epoch)
    await trial.set(name, valueOf(1), at(1))
    const writing = new Set(shuffled(WRITERS).map((epoch) => {
      const write = trial.set(name, valueOf(epoch), at(epoch)).finally(() => { writing.delete(write) })
      return write
    }))
    const written = Promise.all(writing)
    written.catch(() => {})
    let last = 0
    do {
      const bytes = await reader.get(name)
      assert(bytes !== null, 'a value that is replaced must not be gone in between')
      const epoch = bytes[0] ?? 0
      assert(bytes.equals(valueOf(epoch)), 'a reader must not see parts of two values')
      assert(epoch >= last, `a reader saw epoch ${epoch} after ${last}`)
      last = epoch
      // A tier that answers from memory would never let the writers go on.
      await turn()
    } while (writing.size > 0)
    await written
  },

  'keeps a value for as long as it was last asked to': async (trial, name) => {
    assert.equal(await trial.set(name, 'lasting', at(0), 31_536_000), true)
    assert.equal(await trial.text(name), 'lasting')
    assert.equal(await trial.set(name, 'short', at(1), 0.5), true)
    assert.equal(await trial.set(name, 'renewed', at(2), 3600), true)
    await sleep(700)
    assert.equal(await trial.text(name), 'renewed')
  },

  'answers no more when closed, instead of hanging': async (trial, name) => {
    if (trial.tier.close === undefined) return
    await trial.sets(name, 'a', at(1))
    await trial.close()
    for (const ask of [() => trial.get(name), () => trial.set(name, 'b', at(2)), () => trial.delete(name, at(2))]) {
      await assert.rejects(ask, error => !(error instanceof assert.AssertionError), 'a closed tier rejects')
    }
  }
}

function at (epoch: number, renderedAt = 1_700_000_000_000, incarnation = 'incarnation'): IsrTierVersion {
  return { incarnation, epoch, renderedAt }
}

function nameOf (buildId: string): string {
  return `${buildId}/${randomBytes(32).toString('hex')}`
}

/** 1 to `count` in any order. */
function shuffled (count: number): number[] {
  return Array.from({ length: count }, (_, index) => ({ epoch: index + 1, order: Math.random() }))
    .sort((a, b) => a.order - b.order).map(({ epoch }) => epoch)
}

function show ({ incarnation, epoch, renderedAt }: IsrTierVersion): string {
  return `incarnation '${incarnation}', epoch ${epoch}, renderedAt ${renderedAt}`
}

function describe (value: unknown): string {
  return typeof value === 'object' ? value?.constructor.name ?? 'null' : String(value)
}

function boolean (operation: string, value: unknown): boolean {
  assert(typeof value === 'boolean', `${operation} must resolve with true or false, not with ${describe(value)}`)
  return value
}

async function inTime<T> (operation: string, promise: Promise<T>): Promise<T> {
  const controller = new AbortController()
  const late = sleep(PATIENCE, undefined, { signal: controller.signal }).then(() => assert.fail(`${operation} took longer than ${PATIENCE / 1000} s`))
  late.catch(() => {})
  try {
    return await Promise.race([promise, late])
  } finally {
    controller.abort()
  }
}
