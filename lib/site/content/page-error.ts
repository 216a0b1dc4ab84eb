import { PageInvalid } from '../errors.js'

/** The file that is broken, for a line of the log. */
export function fileOf (error: Error): { file?: string } {
  const { file } = error as { file?: string }
  return file === undefined ? {} : { file }
}

/** An error of a file as a whole. */
export function pageError (file: string, message: string): Error & { file: string } {
  return Object.assign(new PageInvalid(file, message), { file })
}
