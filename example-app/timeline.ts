import { segmentsOf, type Windows } from './site/assets/js/freshness.js'

/** What timeline.html draws. */
export interface Timeline {
  words: string
  marker: string
  segments: Array<{ state: string, x: string, width: string, range: string }>
}

export function timeline (windows: Windows, age: number): Timeline {
  const segments = segmentsOf(windows)
  const end = segments.at(-1)?.to ?? 1
  const percent = (seconds: number) => `${(seconds / end * 100).toFixed(2)}%`

  return {
    words: segments.map(({ state, from, to }) => state === 'expired' ? `expired from ${from} seconds` : `${state} from ${from} to ${to} seconds`).join(', '),
    marker: percent(age),
    segments: segments.map(({ state, from, to }) => ({
      state,
      x: percent(from),
      width: percent(to - from),
      range: state === 'expired' ? `${from} s →` : `${from}–${to} s`
    }))
  }
}
