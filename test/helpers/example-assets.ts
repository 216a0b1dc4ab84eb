import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { siteRoot } from '../../example-app/paths.js'
import { buildAssets } from '../../lib/site/assets/build.js'

let built: Promise<string> | null = null

/** The folder of the example's assets, built once for all tests of a process. */
export async function exampleAssets (): Promise<string> {
  built ??= build()
  return await built
}

async function build (): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'fastify-isr-example-'))
  process.once('exit', () => { rmSync(folder, { recursive: true, force: true }) })
  const out = path.join(folder, 'static')
  await buildAssets({ source: path.join(siteRoot, 'assets'), out })
  return out
}
