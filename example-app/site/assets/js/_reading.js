/**
 * What the server says about a page, without its body.
 * @param {string} url
 */
export async function read (url) {
  const started = performance.now()
  const response = await fetch(url, { method: 'HEAD', cache: 'no-store' })
  const cacheStatus = response.headers.get('cache-status')
  return {
    ok: response.ok,
    milliseconds: performance.now() - started,
    renderedAt: response.headers.get('x-rendered-at'),
    age: response.headers.get('age'),
    etag: response.headers.get('etag'),
    cacheStatus,
    serverTook: /\bdur=([\d.]+)/.exec(response.headers.get('server-timing') ?? '')?.[1] ?? null,
    ...interpret(cacheStatus)
  }
}

/** @param {string | null} cacheStatus */
export function interpret (cacheStatus) {
  if (cacheStatus === null) return { state: 'live', words: 'rendered for this request' }
  if (/\bdetail=stale-if-error\b/.test(cacheStatus)) return { state: 'stale-if-error', words: 'old page, kept because rendering fails' }
  if (/\bdetail=stale\b/.test(cacheStatus)) return { state: 'stale', words: 'stale: served at once, rendering behind' }
  if (/;\s*hit\b/.test(cacheStatus)) return { state: 'fresh', words: 'fresh, from memory' }
  if (/;\s*(?:stored|collapsed)\b(?!=\?0)/.test(cacheStatus)) return { state: 'fresh', words: 'fresh, rendered a moment ago' }
  return { state: 'live', words: 'rendered for this request' }
}

/** @param {string | null} age */
export function ageInWords (age) {
  if (age === null) return 'none: it was not kept'
  const seconds = Number(age)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} days`
}
