import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const WITHOUT_REDIS = `This example starts a Redis server of its own, and there is no redis-server on this machine.

  Debian, Ubuntu   apt-get install redis-server
  macOS            brew install redis
  elsewhere        REDIS_SERVER_PATH=/path/to/redis-server npm run example:cluster
  Docker           docker run --rm -p 127.0.0.1:6379:6379 redis:7
                   REDIS_URL=redis://127.0.0.1:6379 npm run example:cluster
`

/** A Redis server that keeps nothing, on a Unix socket of its own: it is in nobody's way. */
export class RedisServer {
  readonly #dir: string
  #child: ChildProcess | null = null

  private constructor (dir: string) {
    this.#dir = dir
  }

  /** Null when there is no such program. */
  static async start (): Promise<RedisServer | null> {
    const redis = new RedisServer(await mkdtemp(path.join(tmpdir(), 'isr-example-')))
    try {
      await redis.start()
      return redis
    } catch (error) {
      await redis.close()
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  get socket (): string {
    return path.join(this.#dir, 'redis.sock')
  }

  get pid (): number | null {
    return this.#child?.pid ?? null
  }

  async start (): Promise<void> {
    if (this.#child !== null) return
    const args = ['--port', '0', '--unixsocket', this.socket, '--dir', this.#dir, '--save', '', '--appendonly', 'no']
    // In a group of its own: Ctrl-C is for the example, which ends it last.
    const child = spawn(process.env.REDIS_SERVER_PATH ?? 'redis-server', args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
    this.#child = child
    child.once('exit', () => { if (this.#child === child) this.#child = null })
    let output = ''
    await new Promise<void>((resolve, reject) => {
      child.stdout.on('data', chunk => {
        output += String(chunk)
        if (/ready to accept connections/i.test(output)) resolve()
      })
      child.once('error', error => {
        this.#child = null
        reject(error)
      })
      child.once('exit', () => { reject(new Error(`redis-server did not start:\n${output}`)) })
    })
  }

  /** At once, as a machine that loses its power. */
  async kill (): Promise<void> {
    const child = this.#child
    if (child === null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  /** For the end of the process, when nothing can be waited for any more. */
  closeNow (): void {
    this.#child?.kill('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async close (): Promise<void> {
    await this.kill()
    await rm(this.#dir, { recursive: true, force: true })
  }
}
