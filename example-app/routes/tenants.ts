import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { modes } from '../modes.js'
import { sameOrigin } from '../same-origin.js'
import { stateAt, type State } from '../site/assets/js/freshness.js'

interface Settings {
  theme: 'plain' | 'sea' | 'moss' | 'plum'
  checkout: 'three steps' | 'one page'
  reviews: boolean
  wrapping: boolean
}

/** What the source says of a tenant: only what differs from the defaults. */
interface Answer {
  own: Partial<Settings>
  answeredAt: number
}

interface Tenant {
  name: string
  own: Partial<Settings>
  asked: number
  failed: number
}

declare module 'fastify' {
  interface FastifyRequest {
    arrivedAt: number
    settings: Settings
    /** Null: the source could not be had. */
    answer: Answer | null
  }
}

export interface TenantsOptions {
  clock: () => number
}

const defaults: Settings = { theme: 'plain', checkout: 'three steps', reviews: false, wrapping: false }
const names: Record<keyof Settings, string> = { theme: 'Theme', checkout: 'Checkout', reviews: 'Reviews', wrapping: 'Gift wrapping' }
const windows = { ttl: 5, staleWhileRevalidate: 10, staleIfError: 0 }

/** Long enough to be felt by those who wait for it. */
const sourceTakes = 200
/** It mends itself: nobody should find the example broken because somebody else left it that way. */
const longest = 120_000

export default async function tenants (app: FastifyInstance, { clock }: TenantsOptions) {
  const all = new Map<string, Tenant>([
    ['harbour', { name: 'Harbour Books', own: { theme: 'sea', checkout: 'one page', wrapping: true }, asked: 0, failed: 0 }],
    ['orchard', { name: 'Orchard & Daughters', own: { theme: 'moss', reviews: true }, asked: 0, failed: 0 }],
    ['bakery', { name: 'The Night Bakery', own: { theme: 'plum', checkout: 'one page', reviews: true }, asked: 0, failed: 0 }]
  ])
  let failsUntil = 0

  /** Stands for a service that knows the settings of each tenant. */
  async function ask (id: string, signal: AbortSignal): Promise<Answer> {
    const tenant = all.get(id)
    if (tenant === undefined) throw new Error(`there is no tenant ${id}`)
    tenant.asked++
    await delay(sourceTakes, undefined, { signal })
    if (clock() < failsUntil) {
      tenant.failed++
      throw new Error('the source of /tenants is switched off')
    }
    return { own: tenant.own, answeredAt: clock() }
  }

  app.decorateRequest('arrivedAt', 0)
  app.decorateRequest('settings')
  app.decorateRequest('answer')

  const loadSettings = app.isr.data<Answer, string>({
    name: 'settings',
    ...windows,
    extract: tenantOf,
    fetch: (id, { signal }) => ask(id, signal),
    tags: (_answer, id) => [`tenant:${id}`],
    apply (request, _reply, answer) {
      request.settings = { ...defaults, ...answer.own }
      request.answer = answer
    },
    onError (request) {
      request.settings = defaults
      request.answer = null
    }
  })

  app.get<{ Params: { tenant: string } }>('/tenants/:tenant', {
    // Before any setting is loaded: an address that somebody made up must not reach the source.
    async onRequest (request, reply) {
      request.arrivedAt = clock()
      return all.has(tenantOf(request)) ? undefined : reply.callNotFound()
    },
    preHandler: loadSettings
  }, async (request, reply) => {
    const id = request.params.tenant
    const { name, asked, failed } = all.get(id) ?? { name: id, asked: 0, failed: 0 }
    const { settings, answer } = request
    const now = clock()
    const isFailing = now < failsUntil
    const origin = originOf(answer, { now, arrivedAt: request.arrivedAt, isFailing })
    reply.header('cache-control', 'no-store')

    return reply.page('views/tenants.html', {
      mode: modes.dynamic,
      shop: { id, name, theme: settings.theme },
      shops: [...all].map(([other, { name }]) => ({ id: other, name, current: other === id })),
      origin,
      settings: (Object.keys(names) as Array<keyof Settings>).map(key => ({
        name: names[key],
        value: inWords(settings[key]),
        own: answer !== null && key in answer.own
      })),
      source: {
        asked,
        failed,
        age: answer === null ? 'nothing kept' : `${ageOf(answer, now)} s`,
        wait: now - request.arrivedAt,
        isFailing,
        takes: sourceTakes
      }
    })
  })

  app.post<{ Params: { tenant: string } }>('/tenants/:tenant', { preHandler: sameOrigin }, async (request, reply) => {
    const { tenant } = request.params
    if (!all.has(tenant)) return reply.callNotFound()
    const order = typeof request.body === 'object' && request.body !== null && 'do' in request.body ? request.body.do : undefined
    if (order === 'break') failsUntil = clock() + longest
    if (order === 'mend') failsUntil = 0
    if (order === 'forget') await app.isr.purge({ tag: `tenant:${tenant}` })
    return reply.redirect(`/tenants/${tenant}#source`, 303)
  })
}

function tenantOf (request: FastifyRequest): string {
  return (request.params as { tenant: string }).tenant
}

function inWords (value: string | boolean): string {
  return typeof value === 'string' ? value : value ? 'on' : 'off'
}

function ageOf ({ answeredAt }: Answer, now: number): number {
  return Math.max(0, Math.floor((now - answeredAt) / 1000))
}

/** How the settings came to this request. */
function originOf (answer: Answer | null, { now, arrivedAt, isFailing }: { now: number, arrivedAt: number, isFailing: boolean }): { badge: State, name: string, text: string } {
  if (answer === null) return { badge: 'stale-if-error', name: 'defaults', text: 'The source could not be had. The shop stays open.' }
  if (answer.answeredAt >= arrivedAt) return { badge: 'fresh', name: 'new', text: 'Nothing usable was kept, so you waited for the source.' }
  if (stateAt((now - answer.answeredAt) / 1000, windows) === 'fresh') return { badge: 'fresh', name: 'fresh', text: 'Kept from an earlier visit. The source was left alone.' }
  return {
    badge: 'stale',
    name: 'stale',
    text: isFailing
      ? 'Kept from an earlier visit and used at once. Behind you the source is asked, and fails.'
      : 'Kept from an earlier visit and used at once, while it is refreshed behind you.'
  }
}
