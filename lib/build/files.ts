import { closeSync, constants, existsSync, mkdirSync, openSync, readFileSync, realpathSync, renameSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { access, mkdir, open, realpath, rename, rmdir, unlink, writeFile } from 'node:fs/promises'

type Later<T> = T | Promise<T>

/** What a build does with single files, of which there are several per page. */
export interface Files {
  write (file: string, bytes: Buffer, options: { mode: number, flag: string }): Later<void>
  /** Not through a link, and not waiting for whoever writes to a pipe. */
  read (file: string): Later<Buffer>
  /** With all folders on the way. Resolves with undefined when it was there. */
  makeFolder (folder: string, mode: number): Later<string | undefined>
  rename (from: string, to: string): Later<void>
  unlink (file: string): Later<void>
  rmdir (folder: string): Later<void>
  realpath (file: string): Later<string>
  exists (file: string): Later<boolean>
}

const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/**
 * For a build that has the process for itself: nobody waits meanwhile. A way
 * through the thread pool and back costs more than what most of these take.
 */
export const blocking: Files = {
  write: writeFileSync,
  read (file) {
    const fd = openSync(file, READ)
    try {
      return readFileSync(fd)
    } finally {
      closeSync(fd)
    }
  },
  makeFolder: (folder, mode) => mkdirSync(folder, { recursive: true, mode }),
  rename: renameSync,
  unlink: unlinkSync,
  rmdir: rmdirSync,
  realpath: realpathSync.native,
  exists: existsSync
}

/** Beside visitors, who must not wait for a disk. */
export const yielding: Files = {
  write: writeFile,
  async read (file) {
    const handle = await open(file, READ)
    try {
      return await handle.readFile()
    } finally {
      await handle.close()
    }
  },
  makeFolder: (folder, mode) => mkdir(folder, { recursive: true, mode }),
  rename,
  unlink,
  rmdir,
  realpath,
  exists: file => access(file).then(() => true, () => false)
}
