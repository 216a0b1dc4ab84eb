import { DiskTier } from '../../lib/cache/disk-tier.js'
import type { Entry } from '../../lib/cache/entry.js'

// One of many processes that write the same few entries at the same time, each in versions of
// no order. Says after each write which version has been given to the disk, and `done` at the end.
//   node sibling-writer.js <root> <writes>
const [, , root = '', writes = '0'] = process.argv
const KEYS = 3

export function versionOf (key: string, epoch: number): Entry {
  // Some bytes of one kind, of few lengths, so that two versions are often of one size.
  const bytes = Buffer.alloc(5000 + 5000 * (epoch % 3), `${epoch} `)
  return { key, buildId: 'b1', renderedAt: 1, epoch, ttl: 60, staleWhileRevalidate: 60, staleIfError: 60, jitter: 0, tags: [], meta: {}, hash: 'h', bodies: [{ encoding: 'identity', bytes }] }
}

if (process.argv[1]?.endsWith('sibling-writer.js')) {
  const disk = new DiskTier({
    root,
    buildId: 'b1',
    maxBytes: 1e9,
    writeBack: true,
    onError: (_operation, _key, error) => { throw error },
    onWorking: () => {}
  })
  disk.open()
  process.stdout.write('ready\n')
  await new Promise(resolve => process.stdin.once('data', resolve))
  for (let i = 0; i < Number(writes); i++) {
    const key = `/${i % KEYS}`
    const epoch = 1 + Math.floor(Math.random() * 1e6)
    await disk.write(versionOf(key, epoch))
    process.stdout.write(`${key} ${epoch}\n`)
  }
  process.stdout.write('done\n')
  process.stdin.destroy()
}
