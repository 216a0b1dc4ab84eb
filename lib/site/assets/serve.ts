import path from 'node:path'
import type { FastifyStaticOptions } from '@fastify/static'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { loadPeer } from '../peer.js'
import { MANIFEST_FILE, META_FILE } from './asset-path.js'
import type { Assets } from './assets.js'
import type { CssTransform } from './css-transform.js'
import { DevelopmentBundles } from './development-bundles.js'
import { DevelopmentFiles } from './development-files.js'

export interface ServeAssetsOptions {
  assets: Assets
  /** The folder of built assets. */
  dir: string
  /** @default '/static/' */
  prefix?: string
}

export interface ServeSourcesOptions {
  /** The folder of assets. */
  dir: string
  /** @default '/static/' */
  prefix?: string
  /** As for the build. */
  css?: { transform?: CssTransform }
}

/** A year: the longest that HTTP knows of. */
const FOREVER = 'public, max-age=31536000, immutable'
const ASK_FIRST = 'public, max-age=0, must-revalidate'
/** An image may carry scripts, and runs them when somebody opens it by its own URL. */
const NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; sandbox"
const COMPANION = /\.(?:br|gz)$/

/**
 * Serves built assets with @fastify/static: names that tell their content for a
 * year, all others for as long as the server says that they are the same.
 *
 * @throws FST_ISR_ERR_SITE_PEER
 */
export async function serveAssets (app: FastifyInstance, { assets, dir, prefix = '/static/' }: ServeAssetsOptions): Promise<void> {
  const root = path.resolve(dir)
  const urlOf = (file: string): string => prefix + path.relative(root, file).split(path.sep).join('/').replace(COMPANION, '')
  await registerStatic(app, {
    root,
    prefix,
    preCompressed: true,
    // The lists of files are for the app alone.
    allowedPath: name => ![MANIFEST_FILE, META_FILE].includes(name.replace(/^\/+/, '').toLowerCase()),
    setHeaders: (reply, file) => setHeaders(reply, file, assets.isImmutable(urlOf(file)))
  })
}

/**
 * Serves assets as their author left them, for development: nothing is cached,
 * style sheets and scripts are bundled when they are asked for.
 *
 * @throws FST_ISR_ERR_SITE_PEER
 */
export async function serveSources (app: FastifyInstance, { dir, prefix = '/static/', css }: ServeSourcesOptions): Promise<void> {
  const files = new DevelopmentFiles(dir, prefix)
  const bundles = new DevelopmentBundles(files, { root: dir, prefix, transform: css?.transform })
  await app.register(async scope => {
    // Before @fastify/static, whose routes they have.
    scope.addHook('onRequest', async (request, reply) => {
      const bundle = await bundles.get(nameOf(request.url))
      if (bundle === null) return
      setHeaders(reply, bundle.name, false)
      return await reply.type(bundle.type).send(bundle.bytes)
    })
    await registerStatic(scope, {
      root: path.resolve(dir),
      prefix,
      allowedPath: name => files.locate(prefix + name.replace(/^\/+/, '')) !== null,
      setHeaders: (reply, file) => setHeaders(reply, file, false)
    })
  })
}

async function registerStatic (app: FastifyInstance, options: FastifyStaticOptions): Promise<void> {
  const { default: fastifyStatic } = await loadPeer('@fastify/static', 'serving assets', async () => await import('@fastify/static'))
  // The app may have a @fastify/static of its own, and its decorators.
  await app.register(fastifyStatic, { decorateReply: false, index: false, dotfiles: 'ignore', cacheControl: false, ...options })
}

/** Without what follows the path, and without escapes. Empty: no name. */
function nameOf (url: string): string {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/, ''))
  } catch {
    return ''
  }
}

function setHeaders (reply: FastifyReply, file: string, isImmutable: boolean): void {
  reply.header('cache-control', isImmutable ? FOREVER : ASK_FIRST)
  reply.header('x-content-type-options', 'nosniff')
  if (/\.svg$/i.test(file.replace(COMPANION, ''))) reply.header('content-security-policy', NO_SCRIPTS)
}
