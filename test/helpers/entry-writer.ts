import { DiskTier } from '../../lib/cache/disk-tier.js'

// Writes entries until it is killed, and says after each one that it is on disk. A process of its
// own, started often: it loads as little as possible.
const [, , root = '', from] = process.argv
const disk = new DiskTier({
  root,
  buildId: 'b1',
  maxBytes: 1e9,
  writeBack: true,
  onError: (_operation, _key, error) => { throw error },
  onWorking: () => {}
})
const windows = { ttl: 60, staleWhileRevalidate: 60, staleIfError: 60, jitter: 0 }

for (let version = Number(from); ; version++) {
  const key = `/page/${version % 3}`
  await disk.write({ key, buildId: 'b1', renderedAt: 1, epoch: version, ...windows, tags: [], meta: {}, hash: 'h', bodies: [{ encoding: 'identity', bytes: Buffer.alloc(20_000, String(version % 10)) }] })
  process.stdout.write(`${key} ${version}\n`)
}
