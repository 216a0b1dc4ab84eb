// Builds assets in a process of its own. Arguments: source, out, cacheDir, and after how many
// changes of the disk the process is killed (0: never).
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const [source = '', out = '', cacheDir = '', killAt = '0'] = process.argv.slice(2)
let changes = 0

const CHANGES = ['mkdir', 'rename', 'rm', 'rmdir', 'utimes', 'writeFile'] as const
const promises = fs.promises as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
for (const name of CHANGES) {
  const original = promises[name] as (...args: unknown[]) => Promise<unknown>
  promises[name] = async (...args) => {
    if (++changes === Number(killAt)) process.kill(process.pid, 'SIGKILL')
    return await original(...args)
  }
}
syncBuiltinESMExports()

const { buildAssets } = await import('../../lib/site/assets/build.js')
const report = await buildAssets({ source, out, cacheDir, keep: 0, undigested: ['fixed.txt'] })
console.log(JSON.stringify({ changes, report }))
