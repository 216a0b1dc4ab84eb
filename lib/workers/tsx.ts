import { createRequire, register } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { LoadOptions } from '../load/load-options.js'

/**
 * A process that was started with tsx reads TypeScript, but its worker threads don't: tsx registers
 * itself in the main thread only. Versions of Node that strip types themselves need none of this.
 */
export function registerTsx ({ file, import: imported, require: required }: LoadOptions): void {
  const started = [...process.execArgv, process.env.NODE_OPTIONS ?? '', ...imported, ...required]
  if (!started.some(arg => /\btsx\b/.test(arg)) || stripsTypes()) return
  const require = createRequire(file)
  try {
    require('tsx/cjs')
  } catch {
    // It isn't the app's: what loads the app says what is missing.
    return
  }
  register('tsx/esm', pathToFileURL(file), { data: {} })
}

function stripsTypes (): boolean {
  const { typescript } = process.features as { typescript?: unknown }
  return typescript !== undefined && typescript !== false
}
