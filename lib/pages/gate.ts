import { performance as clock, type EventLoopUtilization } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import type { Gate } from '../cache/render-queue.js'

/** Above it the event loop has no time left that a render could have. */
const MOST_UTILIZATION = 0.9
/** Shorter periods say nothing, and longer ones nothing of now (milliseconds). */
const LEAST_PERIOD = 10
const LONGEST_PERIOD = 1000
/** Milliseconds; and never longer than half of what a render may take. */
const MOST_PAUSE = 1000

/** Holds back renders that nobody waits for while this thread is late with its answers. `@fastify/under-pressure` is asked, if it is there. */
export function makeGate (app: FastifyInstance, renderer: { readonly isElsewhere: boolean }, timeout: number, utilization = clock.eventLoopUtilization): Gate {
  let last: EventLoopUtilization = utilization()
  let isBusy = false
  return {
    mostPause: Math.min(MOST_PAUSE, timeout / 2),
    isBehind () {
      // Without a visitor, as in tests and scripts, there is nobody to hold anything back for.
      if (renderer.isElsewhere || !app.server.listening) return false
      const now = utilization()
      const since = utilization(now, last)
      const period = since.idle + since.active
      if (period >= LEAST_PERIOD) {
        isBusy = period <= LONGEST_PERIOD && since.utilization > MOST_UTILIZATION
        last = now
      }
      return isBusy || (app as { isUnderPressure?: () => boolean }).isUnderPressure?.() === true
    }
  }
}
