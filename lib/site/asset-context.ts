import path from 'node:path'
import type { FastifyBaseLogger } from 'fastify'
import { Assets, lenient } from './assets/assets.js'
import { AssetsMissing } from './errors.js'
import type { SiteSettings } from './options.js'

/** What templates and `app.site` ask for assets. */
export interface AssetContext {
  asset (path: string): string
  image (attributes: Record<string, string>): string
  /** The files behind, if there are any. */
  readonly assets: Assets | null
}

/**
 * Assets of a site: built ones; in development, their sources. One that is not
 * there is an error in development and while `isBuilding`; a visitor gets the
 * page all the same.
 */
export async function openAssets ({ root, dev, static: served }: SiteSettings, isBuilding: () => boolean, log: FastifyBaseLogger): Promise<AssetContext> {
  if (served === null) return without(new AssetsMissing("none: the option 'static' is false"))
  if (dev !== null && root !== null) return of(Assets.development(path.join(root, 'assets'), { prefix: served.prefix }), assets => assets)
  try {
    const built = await Assets.load(served.dir)
    const passing = lenient(built, err => { log.error({ err }, err.message) })
    return of(built, assets => isBuilding() ? assets : passing)
  } catch (error) {
    if (!(error instanceof AssetsMissing)) throw error
    // A site may have none. Who refers to one gets this as the reason.
    log.debug(error.message)
    return without(error)
  }
}

function of (assets: Assets, now: (assets: Assets) => Pick<Assets, 'resolve' | 'image'>): AssetContext {
  return { asset: path => now(assets).resolve(path), image: attributes => now(assets).image(attributes), assets }
}

function without (error: Error): AssetContext {
  const refuse = (): never => { throw error }
  return { asset: refuse, image: refuse, assets: null }
}
