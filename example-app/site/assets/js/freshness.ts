// Runs twice: on the server for the HTML of /freshness, and in the browser, where the page loads the
// compiled file to take that HTML over. One source, so that both cannot disagree.

/** The three windows of a page, in seconds. Each begins where the one before it ends. */
export interface Windows {
  ttl: number
  staleWhileRevalidate: number
  staleIfError: number
}

export type State = 'fresh' | 'stale' | 'stale-if-error' | 'expired'

export interface Segment {
  state: State
  from: number
  to: number
}

export interface Answer {
  state: State
  status: 200 | 500
  visitor: string
  behind: string
  cacheStatus: string
}

export function segmentsOf ({ ttl, staleWhileRevalidate, staleIfError }: Windows): Segment[] {
  const staleUntil = ttl + staleWhileRevalidate
  const keptUntil = staleUntil + staleIfError
  // Some room after the last window, or "expired" could not be drawn.
  const end = Math.ceil(keptUntil * 1.2) + 10
  return [
    { state: 'fresh', from: 0, to: ttl },
    { state: 'stale', from: ttl, to: staleUntil },
    { state: 'stale-if-error', from: staleUntil, to: keptUntil },
    { state: 'expired', from: keptUntil, to: end }
  ]
}

export function stateAt (age: number, windows: Windows): State {
  return segmentsOf(windows).find(({ to }) => age < to)?.state ?? 'expired'
}

export function answerAt (age: number, windows: Windows, rendering: 'works' | 'fails'): Answer {
  const state = stateAt(age, windows)
  const left = windows.ttl - age

  switch (state) {
    case 'fresh':
      return {
        state,
        status: 200,
        visitor: 'The page, at once.',
        behind: 'Nothing. There is no reason to render.',
        cacheStatus: `fastify-isr; hit; ttl=${left}`
      }
    case 'stale':
      return {
        state,
        status: 200,
        visitor: 'The old page, at once.',
        behind: rendering === 'works'
          ? 'One render, however many visitors come. The next visitor gets the new page.'
          : 'One render, which fails. The old page stays, and the next try waits a little longer.',
        cacheStatus: `fastify-isr; hit; ttl=${left}; detail=stale`
      }
    case 'stale-if-error':
      return rendering === 'works'
        ? waited(state)
        : {
            state,
            status: 200,
            visitor: 'The old page, after the failed try.',
            behind: 'The failure is reported. The next try waits a little longer.',
            cacheStatus: 'fastify-isr; fwd=stale; fwd-status=500; detail=stale-if-error'
          }
    case 'expired':
      return rendering === 'works'
        ? waited(state)
        : {
            state,
            status: 500,
            visitor: 'The error: there is no page left that may hide it.',
            behind: 'The failure is reported and shared by everybody who waits.',
            cacheStatus: 'fastify-isr; fwd=stale; fwd-status=500'
          }
  }
}

function waited (state: State): Answer {
  return {
    state,
    status: 200,
    visitor: 'A new page, after waiting for its render. All who wait share that one render.',
    behind: 'Nothing: the work was done in front of the visitor.',
    cacheStatus: 'fastify-isr; fwd=stale; stored'
  }
}
