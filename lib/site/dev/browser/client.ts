// The browser's side of the live reload: one small module without inline code, so that it works under a strict policy.
interface Problem {
  message: string
  frame: string
  related: Problem | null
}

const KEY = '__dev'
// The page's own rules for the element come before those of its shadow, unless these are important.
const OVERLAY = `
  :host { all: initial !important; position: fixed !important; inset: 0 !important; box-sizing: border-box !important;
    padding: 2rem !important; overflow: auto !important; z-index: 2147483647 !important; background: #1b1b1fee !important }
  pre { margin: 1rem 0; color: #f4f4f5; font: 14px/1.5 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 2 }
  pre:first-of-type { color: #ff9f9f }
  button { font: 14px system-ui, sans-serif; padding: .5rem 1rem; cursor: pointer }`

const base = new URL(import.meta.url)
let state = base.searchParams.has('failed') ? 'failed' : 'new'
const isErrorPage = state === 'failed'
let source: EventSource | null = null
let boot = ''
let wait = 500
let retry: ReturnType<typeof setTimeout> | undefined
// A change may have come while this document was on its way.
let seen = sessionStorage.getItem(KEY)
sessionStorage.removeItem(KEY)

function open (): void {
  if (source !== null || document.hidden) return
  clearTimeout(retry)
  const query = new URLSearchParams({ page: location.pathname + location.search, state, since: seen ?? '' })
  source = new EventSource(new URL(`events?${query}`, base))
  state = 'kept'
  on('hello', data => {
    wait = 500
    // Another one: the server has been restarted.
    if (boot !== '' && boot !== data) reload()
    boot = data as string
  })
  on('css', data => { swap((data as { paths: string[] | null }).paths) })
  on('reload', reload)
  on('fail', data => { show(data as Problem) })
  on('ok', () => {
    hide()
    if (isErrorPage) reload()
  })
  source.onerror = () => {
    // Browsers connect again by themselves, but not after an answer that is no stream.
    if (source?.readyState !== EventSource.CLOSED) return
    close()
    retry = setTimeout(open, wait = Math.min(2 * wait, 30_000))
  }
}

function on (name: string, listener: (data: unknown) => void): void {
  source?.addEventListener(name, event => {
    seen = event.lastEventId
    listener(JSON.parse(event.data))
  })
}

function close (): void {
  clearTimeout(retry)
  source?.close()
  source = null
}

function reload (): void {
  // What comes while the new document is on its way is for that one, which may have been rendered before: this one
  // may not say that it has seen it.
  close()
  sessionStorage.setItem(KEY, seen ?? '')
  location.reload()
}

/** By the link that it will replace. */
const coming = new Map<HTMLLinkElement, HTMLLinkElement>()

/** Puts the new sheet beside the old one, which goes when the new one is there: nothing flashes, no input is lost. */
function swap (paths: string[] | null): void {
  const waiting = new Set(coming.values())
  for (const old of document.querySelectorAll<HTMLLinkElement>('link[rel~="stylesheet"]')) {
    // One without an address yet has none to swap.
    if (old.href === '') continue
    const url = new URL(old.href)
    if (waiting.has(old) || url.origin !== location.origin || paths?.includes(url.pathname) === false) continue
    coming.get(old)?.remove()
    url.searchParams.set('t', String(Date.now()))
    const next = old.cloneNode() as HTMLLinkElement
    next.removeAttribute('integrity')
    next.href = url.href
    const settle = (gone: HTMLLinkElement) => () => {
      gone.remove()
      if (coming.get(old) === next) coming.delete(old)
    }
    next.onload = settle(old)
    next.onerror = settle(next)
    coming.set(old, next)
    old.after(next)
  }
}

let overlay: HTMLElement | null = null

function show (problem: Problem): void {
  hide()
  overlay = document.createElement('div')
  overlay.id = KEY
  overlay.popover = 'manual'
  overlay.setAttribute('role', 'alert')
  const root = overlay.attachShadow({ mode: 'open' })
  // Constructed: a policy that forbids inline styles has nothing against it.
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(OVERLAY)
  root.adoptedStyleSheets = [sheet]
  const button = document.createElement('button')
  button.textContent = 'Hide'
  button.onclick = hide
  for (let one: Problem | null = problem; one !== null; one = one.related) {
    for (const text of [one.message, one.frame]) root.append(Object.assign(document.createElement('pre'), { textContent: text }))
  }
  root.append(button)
  document.documentElement.append(overlay)
  // Above the page's own dialogs.
  overlay.showPopover?.()
}

function hide (): void {
  overlay?.remove()
  overlay = null
}

// A tab that nobody sees gives its connection back: browsers have six per server. An open one would also keep the
// page out of the back/forward cache.
addEventListener('pagehide', close)
addEventListener('pageshow', open)
document.addEventListener('visibilitychange', () => { document.hidden ? close() : open() })
open()

export {}
