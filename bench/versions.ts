import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const PACKAGES = ['fastify-isr', 'fastify', '@fastify/static', 'async-cache-dedupe', 'eta']

function versionOf (name: string): string {
  // Not every package exports its package.json, nor something that can be required.
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const version = readVersion(path.join(folder, name, 'package.json'))
    if (version !== null) return version
  }
  return readVersion(new URL('../../package.json', import.meta.url)) ?? 'unknown'
}

function readVersion (file: string | URL): string | null {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
  } catch {
    return null
  }
}

/** Of what candidates are made of. */
export function ownVersions (): Array<readonly [string, string]> {
  return PACKAGES.map(name => [name, versionOf(name)] as const)
}
