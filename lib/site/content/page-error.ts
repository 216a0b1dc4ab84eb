import { PageInvalid } from '../errors.js'

/** An error of a file as a whole. */
export function pageError (file: string, message: string): Error & { file: string } {
  return Object.assign(new PageInvalid(file, message), { file })
}
