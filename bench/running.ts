// Candidates as running servers.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { isPeer, Unavailable, type Candidate, type Peer, type PeerTools, type Setting } from './candidate.js'
import { forkOptions, pin } from './cores.js'
import { reply } from './load.js'
import { KILOBYTES, productsOf, renderPage } from './page.js'
import type { Listening, Refused } from './server.js'

export interface RunningCandidate {
  name: string
  title: string
  /** Without a path. */
  origin: string
  paths: string[]
  setting: Setting
  /** The root of the process tree whose CPU counts. */
  process: ChildProcess
  /** Of what is no part of this repository. */
  version: string | null
  stop (): Promise<void>
}

export const SETTING: Setting = { kilobytes: KILOBYTES, pages: 1 }

/** A program doesn't say when it listens, and one that can't be reached is not waited for for ever. */
const FETCH_TIMEOUT = 10_000
const CLOSE_TIMEOUT = 10_000

export async function startCandidate (name: string, setting = SETTING, tools?: Partial<PeerTools>, flags: string[] = []): Promise<RunningCandidate> {
  const href = new URL(`./candidates/${name}.js`, import.meta.url).href
  const { default: module } = await import(href) as { default: Candidate | Peer }
  return isPeer(module)
    ? await startPeer(name, module, setting, tools)
    : await startApp(name, module, href, setting, flags)
}

async function startPeer (name: string, peer: Peer, setting: Setting, tools: Partial<PeerTools> = {}): Promise<RunningCandidate> {
  const server = await peer.start(setting, {
    pin: (command, args) => pin('server', command, args),
    install: false,
    log: () => {},
    ...tools
  })
  const { process, port, version, stop } = server
  return { name, title: peer.title, origin: `http://127.0.0.1:${port}`, paths: ['/'], setting, process, version, stop }
}

async function startApp (name: string, candidate: Candidate, href: string, setting: Setting, flags: string[]): Promise<RunningCandidate> {
  const reason = candidate.unavailable?.() ?? null
  if (reason !== null) throw new Unavailable(reason)
  const child = fork(fileURLToPath(new URL('./server.js', import.meta.url)), [href, JSON.stringify(setting)], {
    ...forkOptions('server', flags),
    env: { ...process.env, NODE_ENV: 'production' }
  })
  const answer = await reply<Listening | Refused>(child)
  if ('refused' in answer) throw new Unavailable(answer.refused)
  return {
    name,
    title: candidate.title,
    origin: `http://127.0.0.1:${answer.port}`,
    paths: candidate.paths?.(setting) ?? ['/'],
    setting,
    process: child,
    version: null,
    stop: () => endChild(child)
  }
}

/** Servers end when their parent lets go of them; one that doesn't is killed. */
export async function endChild (child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  const timer = setTimeout(() => { child.kill('SIGKILL') }, CLOSE_TIMEOUT)
  if (child.connected) child.disconnect()
  await exited
  clearTimeout(timer)
}

/** Makes sure that what will be measured is what its name says. */
export async function verifyCandidate ({ name, origin, paths, setting }: RunningCandidate): Promise<void> {
  const { default: module } = await import(`./candidates/${name}.js`) as { default: Candidate | Peer }
  const ask = async (): Promise<Response> => await fetch(origin + (paths[0] ?? '/'), {
    headers: { 'accept-encoding': 'identity' },
    signal: AbortSignal.timeout(FETCH_TIMEOUT)
  })
  await (await ask()).arrayBuffer()
  const response = await ask()
  const text = await response.text()
  const page = renderPage(productsOf(setting.kilobytes))
  const wrong = isPeer(module) ? module.verify(text, response.headers, page) : verifyApp(module, text, response.headers, page)
  if (wrong !== null) throw new Error(`${name} ${wrong}`)
}

function verifyApp ({ cacheStatus }: Candidate, text: string, headers: Headers, page: string): string | null {
  if (text !== page) return 'answers another page'
  const actual = headers.get('cache-status')
  const isExpected = cacheStatus === undefined ? actual === null : actual?.includes(cacheStatus)
  return isExpected ? null : `answers with Cache-Status ${actual}`
}
