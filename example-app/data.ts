import type { DataOf } from 'fastify-isr/site'
import { modes, type Mode } from './modes.js'
import { timeline } from './timeline.js'

interface Entry {
  path: string
  text: string
  mode: Mode
}

const navigation: Entry[] = [
  { path: '/how-it-works', text: 'How it works', mode: 'prerendered' },
  { path: '/freshness', text: 'Freshness', mode: 'hydrated' },
  { path: '/pulse', text: 'Pulse', mode: 'isr' },
  { path: '/request', text: 'Request', mode: 'dynamic' },
  { path: '/notice', text: 'Notice board', mode: 'prerendered' },
  { path: '/outage', text: 'Outage', mode: 'isr' },
  { path: '/stock', text: 'Stock', mode: 'prerendered' },
  { path: '/tenants/harbour', text: 'Tenants', mode: 'dynamic' },
  { path: '/guides', text: 'Guides', mode: 'prerendered' },
  { path: '/compare', text: 'Compare', mode: 'hydrated' },
  { path: '/docs', text: 'Docs', mode: 'prerendered' },
  { path: '/blog', text: 'Blog', mode: 'prerendered' },
  { path: '/features', text: 'Features', mode: 'prerendered' },
  { path: '/about', text: 'About', mode: 'prerendered' }
]

/** The life of a page that the site shows wherever it needs one. */
export const life = { windows: { ttl: 60, staleWhileRevalidate: 120, staleIfError: 240 }, age: 75 }

/** What every template of the site sees, for the option `data`. */
export function dataFor (origin: string): (page: DataOf) => Record<string, unknown> {
  const lifeAsTimeline = timeline(life.windows, life.age)
  return ({ path }) => ({
    canonical: path === null ? null : new URL(path, origin).href,
    home: path === '/',
    // An error page is in no mode: it is what is left.
    mode: path === null ? null : modes.prerendered,
    navigation: navigation.map(entry => ({ ...entry, current: path !== null && sectionOf(path) === sectionOf(entry.path) })),
    rendered: new Date(),
    timeline: lifeAsTimeline
  })
}

/** Filters of the site's templates. */
export const filters = {
  /** A date → `2026-02-25 09:30:00 UTC`. */
  moment: (value: unknown): string => {
    const iso = (value as Date).toISOString()
    return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
  }
}

/** `/stock/lamp` is a page of `/stock`. */
function sectionOf (path: string): string {
  return path.split('/')[1] ?? ''
}
