import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { code, html, sendPage, table, trusted } from '../layout.js'
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
    preHandler: loadSettings,
    config: { mode: 'dynamic' }
  }, async (request, reply) => {
    const id = request.params.tenant
    const { name, asked, failed } = all.get(id) ?? { name: id, asked: 0, failed: 0 }
    const { settings, answer } = request
    const now = clock()
    const isFailing = now < failsUntil
    const origin = originOf(answer, { now, arrivedAt: request.arrivedAt, isFailing })
    reply.header('cache-control', 'no-store')

    return sendPage(request, reply, {
      title: name,
      description: 'Settings per tenant, loaded by a hook, kept for five seconds, with defaults for when the source fails.',
      section: '/tenants/harbour',
      lead: 'This page is rendered for each request, its settings are not loaded for each: a hook keeps them per tenant. You can make their source fail.',
      body: html`
<section aria-labelledby="settings">
<h2 id="settings">The settings of this shop</h2>
<nav class="tabs" aria-label="Tenants"><ul>${[...all].map(([other, { name }]) => html`
<li><a href="/tenants/${other}" ${other === id && trusted('aria-current="page"')}>${name}</a></li>`)}
</ul></nav>
<div class="shop" data-theme="${settings.theme}">
<p class="shop-sign">${name}</p>
<p class="shop-origin"><span class="state" data-state="${origin.badge}" data-origin>${origin.name}</span> ${origin.text}</p>
</div>
${table('What applies, and where it is from', ['Setting', 'Value', 'From'], (Object.keys(names) as Array<keyof Settings>).map(key => [
  names[key],
  inWords(settings[key]),
  answer !== null && key in answer.own ? html`<span data-from="source">the source</span>` : html`<span data-from="default">the default</span>`
]))}
</section>

<section aria-labelledby="source">
<h2 id="source">The source</h2>
<dl class="numbers">
<div><dt>Times it was asked about this tenant</dt><dd data-asked>${asked}</dd></div>
<div><dt>of which failed</dt><dd data-failed>${failed}</dd></div>
<div><dt>Age of what it said</dt><dd>${answer === null ? 'nothing kept' : `${ageOf(answer, now)} s`}</dd></div>
<div><dt>Your wait for this page</dt><dd>${now - request.arrivedAt} ms</dd></div>
</dl>
<form method="post" action="/tenants/${id}" class="switch">
<p data-off="${isFailing && 'true'}" data-source>${isFailing ? 'The source fails. It mends itself two minutes after it was broken.' : `The source works. An answer takes it ${sourceTakes} ms.`}</p>
<div class="actions">
${isFailing
  ? html`<button type="submit" name="do" value="mend">Mend the source</button>`
  : html`<button type="submit" name="do" value="break">Make the source fail</button>`}
<button type="submit" name="do" value="forget" class="quiet">Forget what is kept</button>
<a class="button quiet" href="/tenants/${id}">Load the page again</a>
</div>
</form>
</section>

<section aria-labelledby="see">
<h2 id="see">What you will see</h2>
${table('By the age of what is kept', ['Age', 'The source works', 'The source fails'], [
  ['nothing kept', 'you wait for the source', 'the defaults'],
  ['under 5 s', 'the kept settings; the source is left alone', 'the same'],
  ['5 to 15 s', 'the kept settings at once; the source is asked behind you', 'the same; the source is asked behind you, and less often after each failure'],
  ['over 15 s', 'you wait for the source', 'the defaults']
])}
<p>However many visitors come, one question per tenant is under way at a time. A source that has just failed is not asked again for a second, then for longer, at most 30 seconds: load the page again and again, and the number does not follow.</p>
${code('The hook of this page', trusted(`const loadSettings = <b>app.isr.data</b>({
  name: 'settings',
  ttl: 5, staleWhileRevalidate: 10,
  extract: request => request.params.tenant,
  fetch: (tenant, { signal }) => askForSettings(tenant, { signal }),
  tags: (answer, tenant) => [\`tenant:\${tenant}\`],
  apply: (request, reply, answer) => { request.settings = { ...defaults, ...answer.own } },
  <b>onError: request => { request.settings = defaults }</b>
})

app.get('/tenants/:tenant', { preHandler: loadSettings }, shop)`))}
</section>`
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
