import { PeerMissing } from './errors.js'

/**
 * Loads an optional peer dependency where it is needed and not before.
 * `load` is `() => import('sharp')`: a literal, so that its types are known.
 *
 * @throws FST_ISR_ERR_SITE_PEER, if the package is not installed
 */
export async function loadPeer<T> (name: string, neededFor: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    // One of its own dependencies may be what is missing: that error says more than ours.
    const { code, message = '' } = cause as { code?: string, message?: string }
    if (code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`)) throw new PeerMissing(name, neededFor, name, { cause })
    throw cause
  }
}
