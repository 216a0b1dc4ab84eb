import type { Setting } from './world.js'

export interface Prediction {
  /** All per second. */
  renders: number
  beats: number
  orders: number
  reads: number
  turns: number
  writes: number
  releases: number
  calls: number
  messages: number
}

/** The mean of 1 to 1.1 heartbeats, as beats per heartbeat. */
const BEATS = Math.log(1.1) / 0.1

/**
 * What Redis is asked when nothing is lost, as docs/cluster-scale.md derives
 * it. A generation of a page is fresh, then old until a visitor comes, then
 * rendered once.
 */
export function predict ({ instances, pages, ttl, visits, orders, renderMs, heartbeat, latency }: Setting): Prediction {
  const visitsPerPage = visits / pages
  const ordersPerPage = orders / pages
  const fresh = ordersPerPage === 0 ? ttl : (1 - Math.exp(-ordersPerPage * ttl)) / ordersPerPage
  const roundTrip = 2 * (latency.least + latency.more) / 1000
  // Leave to render and the look for something newer come before it; then it is written and told of.
  const rendering = renderMs / 1000 + 3 * roundTrip
  const generation = fresh + 1 / (instances * visitsPerPage) + rendering
  const renders = pages / generation
  const others = instances - 1
  // Whoever has a visitor while it is fresh fetches it once: until its ttl, or an order before. Who has the first
  // one after that renders.
  const either = visitsPerPage + ordersPerPage
  const unvisited = Math.exp(-either * ttl) + (ordersPerPage / either) * (1 - Math.exp(-either * ttl))
  const visited = 1 - unvisited
  // Who renders and has not the page that is old fetches that first; what was purged, nobody has.
  const old = 1 - (1 - Math.exp(-ordersPerPage * ttl)) / 2
  const reads = renders * (1 + unvisited * old + others * visited)
  // And whoever has one while it is rendered asks in vain.
  const turns = renders * (1 + others * (1 - Math.exp(-visitsPerPage * rendering)))
  const beats = BEATS * instances * 1000 / heartbeat
  return {
    renders,
    beats,
    orders,
    reads,
    turns,
    writes: renders,
    releases: renders,
    calls: beats + orders + reads + turns + 2 * renders,
    messages: instances * (orders + renders) + beats
  }
}
