import { Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { Settings } from '../options.js'
import { isOwnHook, type DeclaredRoute, type PageRoute } from './registry.js'

/** A route as `onRoute` saw it, and the instance that declares it. */
export interface Noted { readonly instance: FastifyInstance, readonly declared: DeclaredRoute }

/** What an app does that the express lane would pass by. */
export interface Terms {
  /** Hooks: `ignoreHooks` accepts that they don't run. */
  readonly hooks: readonly string[]
  /** What makes answers differ. */
  readonly others: readonly string[]
}

/** The hooks that run for a hit of the default lane. None of the others does, so that nothing more is lost here. */
const HOOKS_OF_A_HIT = ['onRequest', 'onSend', 'onResponse'] as const

type Hook = (...args: never[]) => unknown

/** What Fastify keeps under symbols of its own. */
export interface FastifyState {
  readonly state: { readonly closing: boolean }
  readonly options: { readonly http2?: unknown, readonly rewriteUrl?: unknown, readonly serverFactory?: unknown, readonly constraints?: object | null, readonly routerOptions?: { readonly constraints?: object | null } }
  readonly bindings: readonly unknown[]
  hooksOf (instance: FastifyInstance): Readonly<Record<typeof HOOKS_OF_A_HIT[number], readonly Hook[]>>
}

/** Null for a Fastify that looks different. */
export function stateOf (root: FastifyInstance): FastifyState | null {
  const found = new Map(Object.getOwnPropertySymbols(root).map(symbol => [symbol.description ?? '', symbol]))
  const at = (instance: FastifyInstance, name: string): unknown => (instance as unknown as Record<symbol, unknown>)[found.get(`fastify.${name}`) ?? Symbol('none')]
  const state = at(root, 'state') as FastifyState['state'] | undefined
  const options = at(root, 'options') as FastifyState['options'] | undefined
  const bindings = at(root, 'serverBindings') as FastifyState['bindings'] | undefined
  const hooks = at(root, 'hooks') as Record<string, unknown> | undefined
  const isKnown = typeof state?.closing === 'boolean' && typeof options === 'object' && Array.isArray(bindings) &&
    HOOKS_OF_A_HIT.every(name => Array.isArray(hooks?.[name])) && typeof root.routing === 'function'
  if (!isKnown) return null
  return { state, options, bindings, hooksOf: instance => at(instance, 'hooks') as ReturnType<FastifyState['hooksOf']> }
}

export interface TermsOptions {
  root: FastifyInstance
  fastify: FastifyState
  settings: Settings
  pages: readonly PageRoute[]
  /** All routes of the app. */
  noted: readonly Noted[]
}

/** What stands against the express lane, in words. */
export function readTerms ({ root, fastify, settings, pages, noted }: TermsOptions): Terms {
  const { options } = fastify
  const others = new Set<string>()
  if (isGiven(options.http2)) others.add('http2')
  if (isGiven(options.serverFactory)) others.add('serverFactory')
  else if (![HttpServer, HttpsServer].some(kind => (root.server as object) instanceof kind)) others.add('a server that is not one of node:http or node:https')
  if (isGiven(options.rewriteUrl)) others.add('rewriteUrl')
  if (typeof settings.bypass === 'function') others.add("option 'bypass' is a function (lists of cookies and headers are fine)")
  for (const { pattern, policy, constraints } of pages) {
    if (typeof policy.bypass === 'function') others.add(`GET ${pattern}: 'bypass' is a function (lists of cookies and headers are fine)`)
    if (Object.keys(policy.vary).length > 0) others.add(`GET ${pattern}: 'vary'`)
    for (const name of Object.keys(constraints)) others.add(`GET ${pattern}: constraint '${name}'`)
  }
  const redefined = { ...options.constraints, ...options.routerOptions?.constraints }
  for (const { declared: { url, constraints } } of noted) {
    for (const name of Object.keys(constraints ?? {})) {
      // The router asks it about every request, also about those of other routes.
      if ((name !== 'host' && name !== 'version') || Object.hasOwn(redefined, name)) others.add(`${url}: constraint '${name}', a strategy of the app's own`)
    }
  }
  return { hooks: hooksThatRun(root, fastify, noted), others: [...others] }
}

function isGiven (option: unknown): boolean {
  return option !== undefined && option !== null && option !== false
}

function hooksThatRun (root: FastifyInstance, fastify: FastifyState, noted: readonly Noted[]): string[] {
  const routes = new Map<string, Map<Hook, string[]>>(HOOKS_OF_A_HIT.map(name => [name, new Map()]))
  for (const { instance, declared } of noted) {
    if (![declared.onRequest ?? []].flat().some(isOwnHook)) continue
    for (const name of HOOKS_OF_A_HIT) {
      const hooks = [...fastify.hooksOf(instance)[name], ...[declared[name] ?? []].flat() as Hook[]]
      for (const hook of hooks) {
        if (isOwnHook(hook) || isOfFastify(hook)) continue
        const of = routes.get(name) as Map<Hook, string[]>
        of.set(hook, [...of.get(hook) ?? [], `${String(declared.method)} ${declared.url}`])
      }
    }
  }
  const found = [...routes].flatMap(([name, hooks]) => [...hooks].map(([hook, [first = '', ...more]]) =>
    `${name} hook ${hook.name === '' ? 'without a name' : `'${hook.name}'`} (${first}${more.length === 0 ? '' : ` and ${more.length} more`})`))
  const isWatched = root.server.listeners('request').some(listener => listener !== root.routing)
  return isWatched ? [...found, "a 'request' listener on app.server"] : found
}

/** The HEAD routes that Fastify adds leave the body out with a hook. */
export function isOfFastify (hook: Hook): boolean {
  return hook.name === 'headRouteOnSendHandler'
}
