// What the tests read out of the compose file.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { root } from './image.js'

export interface Service {
  image: string
  command?: string[]
  user?: string
  read_only?: boolean
  cap_drop?: string[]
  security_opt?: string[]
  mem_limit?: string
  profiles?: string[]
  volumes?: string[]
  ports?: string[]
  environment?: Record<string, string>
  logging?: { options: Record<string, string> }
  restart?: string
}

export interface Compose {
  services: Record<string, Service>
  volumes: Record<string, unknown>
}

/** Strict: an unknown tag, a key given twice or a wrong indent throws. */
export async function readYaml<T> (file: string): Promise<T> {
  // Compose knows merge keys, which are no part of YAML 1.2.
  return parse(await readFile(join(root, file), 'utf8'), { merge: true, strict: true, uniqueKeys: true }) as T
}

export async function compose (): Promise<Compose> {
  return await readYaml<Compose>('example-app/compose.yaml')
}

/** MiB. */
export function mebibytes (limit = ''): number {
  const [, number] = /^(\d+)mb?$/.exec(limit) ?? []
  return Number(number)
}

/** What its command says, as lines of redis.conf. */
export function redisSettings (services: Compose['services']): string[] {
  const [, ...args] = services['redis']?.command ?? []
  return args.join(' ').split(/(?:^| )--/).filter(line => line !== '').map(line => line === 'save' || line === 'save ' ? 'save ""' : line)
}
