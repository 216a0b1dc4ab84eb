// What must be true of everything that several instances on one Redis have answered, whatever
// failed in the meantime. All times are those of one process, the one that asked: milliseconds of
// its `performance.now()`.

/** One process: an instance that is started again is another life. */
export interface Life {
  readonly id: number
  readonly name: string
  readonly from: number
  /** When it was killed; Infinity while it lives. */
  until: number
}

export interface PageRead {
  life: number
  id: string
  from: number
  until: number
  /** 0 when no answer came. */
  status: number
  /** Why no answer came, or why its body is no page. */
  error: string | null
  isTorn: boolean
  /** What the body shows, for a whole page. */
  page: { version: number, render: string } | null
  /** Seconds, as the answer says. */
  age: number | null
  cacheStatus: string
  /** What the instance knew of itself when the request began. */
  isConnected: boolean
}

export interface Ordering {
  life: number
  kind: 'purge' | 'revalidate'
  /** Null: all pages. */
  id: string | null
  from: number
  until: number
  /** All instances will hear of it, for it is in Redis. */
  isAcknowledged: boolean
  /** The data of the page (of all) as they were changed before it. */
  version: number
}

export interface RenderRun {
  render: string
  id: string
  life: number
  version: number
  from: number
  /** Infinity when it was not seen to end. */
  until: number
  outcome: 'page' | 'failure' | 'aborted'
  /** Without the lease. */
  isAlone: boolean
  isLive: boolean
}

/** Something that was done to the system. */
export interface Trouble {
  what: string
  from: number
  /** When it was over and everybody had said so; Infinity when nobody has. */
  until: number
  /** The life that could not reach Redis; null: nobody could. */
  life: number | null
  /** Redis came back without what it was told from then on; null: it has lost nothing. */
  lostFrom: number | null
}

/** What an instance said of itself. */
export interface Poll {
  life: number
  from: number
  until: number
  isConnected: boolean
  incarnation: string | null
}

/** Time in which a process did not run. */
export interface Pause {
  /** Null: this one, which all times are from. */
  life: number | null
  from: number
  until: number
}

export interface Windows {
  /** Seconds. */
  ttl: number
  staleWhileRevalidate: number
  staleIfError: number
}

export interface HistorySettings {
  /** Milliseconds in which a connected instance has heard of everything that was acknowledged. */
  bound: number
  /** Milliseconds by which the parent may misjudge a moment of another process. */
  slack: number
  windows: (id: string) => Windows
}

export interface History {
  settings: HistorySettings
  lives: Life[]
  reads: PageRead[]
  orders: Ordering[]
  renders: RenderRun[]
  troubles: Trouble[]
  polls: Poll[]
  pauses: Pause[]
  /** The last answers, when everything had been well for long enough: each living instance, each page. */
  settled: PageRead[]
  /** After one more purge of everything: each living instance, each page. */
  final: PageRead[]
}

export type Rule =
  | 'purged' | 'whole' | 'one render' | 'never back' | 'no error' | 'age' | 'convergence' | 'acknowledged'

export interface Violation {
  rule: Rule
  at: number
  id: string | null
  text: string
}

export interface Verdict {
  violations: Violation[]
  /** How often each rule had something to say: one that never has proves nothing. */
  checked: Record<Rule, number>
  /** How often the first rule had to be silent because nobody who knew of a purge was left. */
  forgotten: number
}

/** Part of `ttl` that a page may be stale before its time, so that pages don't expire together. */
const JITTER = 0.1
/** Milliseconds: the longest back-off after failures. */
const BACKOFF = 30_000

export function check (history: History): Verdict {
  return new Checker(history).run()
}

class Checker {
  readonly #history: History
  readonly #renders: Map<string, RenderRun>
  readonly #lives: Map<number, Life>
  readonly #losses: (Trouble & { lostFrom: number })[]
  readonly #verdict: Verdict = {
    violations: [],
    checked: { purged: 0, whole: 0, 'one render': 0, 'never back': 0, 'no error': 0, age: 0, convergence: 0, acknowledged: 0 },
    forgotten: 0
  }

  constructor (history: History) {
    this.#history = history
    this.#renders = new Map(history.renders.map(render => [render.render, render]))
    this.#lives = new Map(history.lives.map(life => [life.id, life]))
    this.#losses = history.troubles.filter((trouble): trouble is Trouble & { lostFrom: number } => trouble.lostFrom !== null).sort((a, b) => a.from - b.from)
  }

  run (): Verdict {
    const { reads, settled, final } = this.#history
    for (const read of [...reads, ...settled, ...final].sort((a, b) => a.from - b.from)) {
      this.#checkWhole(read)
      this.#checkAge(read)
      this.#checkPurged(read)
      this.#checkNoError(read)
    }
    this.#checkNeverBack()
    this.#checkOneRender()
    this.#checkAcknowledged()
    this.#checkConvergence()
    this.#verdict.violations.sort((a, b) => a.at - b.at)
    return this.#verdict
  }

  /** Every body is, byte by byte, that of one render that really was, and was over by then. */
  #checkWhole (read: PageRead): void {
    if (read.isTorn) return this.#violated('whole', read, read.error ?? 'torn')
    const { page } = read
    if (page === null) return
    this.#verdict.checked.whole++
    const render = this.#renders.get(page.render)
    if (render === undefined) this.#violated('whole', read, `shows render ${page.render}, which never was`)
    else if (render.id !== read.id || render.version !== page.version) this.#violated('whole', read, `shows v${page.version} of render ${page.render}, which was v${render.version} of ${render.id}`)
    else if (render.outcome !== 'page') this.#violated('whole', read, `shows render ${page.render}, which was a ${render.outcome}`)
    else if (render.from > read.until) this.#violated('whole', read, `shows render ${page.render}, which began later`)
  }

  /**
   * No page is served for longer than its windows allow, and the age that it
   * claims is its own, wherever it was kept in the meantime: counted from the
   * end of its render, whoever loads it.
   */
  #checkAge (read: PageRead): void {
    const render = this.#renderOf(read)
    if (render === null || render.isLive) return
    this.#verdict.checked.age++
    const { ttl, staleWhileRevalidate, staleIfError } = this.#history.settings.windows(read.id)
    // An instance that is cut off says that instead.
    const isForError = read.cacheStatus.includes('stale-if-error') || (read.cacheStatus.includes('disconnected') && this.#failureOf(read) !== undefined)
    const most = ttl + staleWhileRevalidate + (isForError ? staleIfError : 0)
    const slack = this.#slack(render.from, read.until)
    // Who answers may have looked at the clock as late as the answer came, and the render may have been over as soon as it began.
    // One that did not run when it was over stored it when it ran again.
    const least = (read.from - this.#endOf(render) - this.#frozen(render.life, render.from, read.from) - slack) / 1000
    const longest = (read.until - render.from + slack) / 1000
    if (least > most) this.#violated('age', read, `is ${least.toFixed(1)} s old and may be served for ${most} s`)
    const { age } = read
    if (age === null) return this.#violated('age', read, 'does not say how old it is')
    // In whole seconds, rounded down.
    if (age < 0 || age + 1 < least || age > longest) this.#violated('age', read, `says it is ${age} s old and is ${least.toFixed(1)} to ${longest.toFixed(1)} s`)
  }

  /**
   * Nothing from before a purge is answered after it:
   *
   * - by the instance that was given the order, from when it has answered,
   *   whether it could tell others or not (its life long: the order is not
   *   promised to outlive it unless it was acknowledged);
   * - by any instance that thought itself connected when the request began,
   *   from the bound after the acknowledgement. One that can't hear of the
   *   order must have noticed by then; what it says of itself counts, not what
   *   was done to it.
   *
   * A process that does not run hears nothing and notices nothing: its time
   * stands still. When Redis has lost what it was told, the purge lives on in
   * whoever knew of it: the bound counts from when one of them has met the new
   * Redis. When none is left, nobody can know.
   */
  #checkPurged (read: PageRead): void {
    const render = this.#renderOf(read)
    if (render === null) return
    for (const order of this.#history.orders) {
      if (order.kind !== 'purge' || !concerns(order, read.id) || order.until >= read.from) continue
      const isOwn = order.life === read.life
      if (!isOwn && (!order.isAcknowledged || !read.isConnected)) continue
      this.#verdict.checked.purged++
      // Its epoch may be that of the order or not: both are right.
      if (render.from >= order.from) continue
      if (isOwn) {
        this.#violated('purged', read, `v${render.version} of render ${render.render} (began ${Math.round(order.from - render.from)} ms before) after a purge by the same instance`)
        continue
      }
      const knownFrom = this.#isKnownFrom(order, read.from)
      if (knownFrom === null) {
        this.#verdict.forgotten++
        continue
      }
      const since = read.from - knownFrom - this.#frozen(read.life, knownFrom, read.from)
      const most = this.#history.settings.bound + this.#slack(knownFrom, read.from)
      if (since > most) this.#violated('purged', read, `v${render.version} of render ${render.render} (began ${Math.round(order.from - render.from)} ms before), ${Math.round(since)} ms after a purge was known to all; at most ${Math.round(most)}`)
    }
  }

  /** When an acknowledged order was where every connected instance hears of it, as far as `at` is concerned; null: nowhere. */
  #isKnownFrom (order: Ordering, at: number): number | null {
    let knownFrom = order.until
    /** Lives that know of it by themselves. */
    const holders = new Set([order.life])
    for (const { from, until, lostFrom } of this.#losses) {
      // Told to the Redis that came after, or kept.
      if (from >= at || until <= knownFrom || lostFrom > knownFrom + this.#history.settings.slack) continue
      const old = new Set<string | null>()
      for (const poll of this.#history.polls) {
        if (poll.until >= from) continue
        old.add(poll.incarnation)
        // Whoever was connected for long enough has heard of it.
        if (poll.isConnected && poll.from > knownFrom + this.#wait(poll.life, knownFrom, poll.from)) holders.add(poll.life)
      }
      const met = this.#history.polls.find(poll => holders.has(poll.life) && poll.isConnected && poll.from > from && poll.until < at && !old.has(poll.incarnation))
      if (met === undefined) return null
      knownFrom = Math.max(knownFrom, met.until)
    }
    return knownFrom
  }

  #wait (life: number, from: number, until: number): number {
    return this.#history.settings.bound + this.#slack(from, until) + this.#frozen(life, from, until)
  }

  /**
   * Without failing renders there is no error at all, whatever fails besides.
   * With them there is none where a copy exists: one that this instance has
   * shown, or one that any instance has shown and that all can reach, in its
   * windows and not purged since. What did not answer was killed.
   */
  #checkNoError (read: PageRead): void {
    if (read.status === 200) {
      this.#verdict.checked['no error']++
      return
    }
    const life = this.#lives.get(read.life)
    if (read.status === 0) {
      // Nobody can answer any more; the parent may learn of it a moment later.
      if (!read.isTorn && (life === undefined || life.until > read.until + this.#slack(read.from, read.until))) this.#violated('no error', read, `no answer: ${read.error ?? ''}`)
      return
    }
    this.#verdict.checked['no error']++
    if (this.#failureOf(read) === undefined) return this.#violated('no error', read, `${read.status} without any failed render`)
    const copy = this.#copyOf(read)
    if (copy !== null) this.#violated('no error', read, `${read.status}, though a copy exists: ${copy.page?.render ?? ''}, shown at ${Math.round(copy.until)}`)
  }

  /** The failed render by which an error, or a copy for want of anything better, may be answered. */
  #failureOf (read: PageRead): RenderRun | undefined {
    return this.#history.renders.find(({ id, outcome, from, until }) => id === read.id && outcome === 'failure' && from < read.until && until > read.from - BACKOFF)
  }

  #copyOf (read: PageRead): PageRead | null {
    const { ttl, staleWhileRevalidate, staleIfError } = this.#history.settings.windows(read.id)
    for (const shown of this.#history.reads) {
      if (shown.id !== read.id || shown.until >= read.from) continue
      const render = this.#renderOf(shown)
      if (render === null || render.isLive) continue
      const slack = this.#slack(render.from, read.until)
      if (read.until + slack > render.from + (ttl + staleWhileRevalidate + staleIfError) * 1000) continue
      // In doubt it was purged.
      if (this.#history.orders.some(order => order.kind === 'purge' && concerns(order, read.id) && order.from < read.until && this.#effectUntil(order) > render.from - slack)) continue
      // Shared behind the answer: a moment later it is there.
      const isReachable = read.isConnected && shown.until + slack < read.from && !render.isAlone &&
        ![null, shown.life, read.life, render.life].some(life => this.#isTroubled(life, render.from, read.until))
      if (shown.life === read.life || isReachable) return shown
    }
    return null
  }

  /**
   * No instance shows a page from before an acknowledged order after one from
   * after it. Soft orders count as well: an old page may be served for long,
   * but not again. A page that was rendered alone, without knowledge of the
   * order, is not newer than the order for anybody but a clock: going back from
   * it is going by the logical time that all share.
   */
  #checkNeverBack (): void {
    const { reads, orders, final, settled } = this.#history
    const byPlace = groupBy([...reads, ...settled, ...final], read => `${read.life} ${read.id}`)
    for (const group of byPlace.values()) {
      const shown = group.filter(read => this.#renderOf(read) !== null).sort((a, b) => a.until - b.until)
      const later = [...shown].sort((a, b) => a.from - b.from)
      const [first] = shown
      if (first === undefined) continue
      const mine = orders.filter(order => order.isAcknowledged && concerns(order, first.id))
      let next = 0
      /** The newest order that a page shown so far is certainly from after. */
      let reached: { order: Ordering, read: PageRead } | null = null
      for (const read of later) {
        // Only what had ended when this one began.
        for (let before = shown[next]; before !== undefined && before.until < read.from; before = shown[++next]) {
          const render = this.#renderOf(before)
          if (render === null || render.isAlone) continue
          for (const order of mine) if (order.until < render.from && order.from > (reached?.order.from ?? 0)) reached = { order, read: before }
        }
        if (reached === null) continue
        this.#verdict.checked['never back']++
        const render = this.#renderOf(read)
        if (render !== null && render.from < reached.order.from) {
          this.#violated('never back', read, `v${render.version} of render ${render.render} after v${reached.read.page?.version ?? 0} of ${reached.read.page?.render ?? ''} at ${Math.round(reached.read.until)}, with an order in between`)
        }
      }
    }
  }

  /**
   * While Redis could be reached, a render has a reason: none before it is of
   * the page as it is. `throughout` is meant per instance: only trouble of the
   * two that rendered, or of Redis itself, between the one render and the other
   * counts; that of a third excuses nobody. And nobody renders without asking.
   */
  #checkOneRender (): void {
    const byPage = groupBy(this.#history.renders.filter(render => !render.isLive), render => render.id)
    for (const [id, all] of byPage) {
      const renders = all.sort((a, b) => a.from - b.from)
      for (const [index, render] of renders.entries()) {
        const slack = this.#slack(render.from, render.from)
        const isTroubled = this.#isTroubled(null, render.from - slack, render.from) || this.#isTroubled(render.life, render.from - slack, render.from)
        if (render.isAlone && !isTroubled) this.#renderedWrongly(render, 'without asking whose turn it is, though Redis could be asked')
        const before = renders.slice(0, index).findLast(other => other.outcome === 'page')
        if (before === undefined) continue
        // The first of the two may have read its epoch, and not told its end, a moment before and after the origin saw it.
        const from = before.from - slack
        if ([null, render.life, before.life].some(life => this.#isTroubled(life, from, render.from))) continue
        // One that failed since has changed nothing, and one that nobody waited for may have failed.
        this.#verdict.checked['one render']++
        if (this.#history.orders.some(order => concerns(order, id) && order.from < render.from && this.#effectUntil(order) > from)) continue
        const { ttl } = this.#history.settings.windows(id)
        const isOver = before.until !== Infinity && render.from > before.from + ttl * (1 - JITTER) * 1000 - slack
        if (!isOver) this.#renderedWrongly(render, `${Math.round(render.from - before.from)} ms after ${before.render} by ${this.#nameOf(before.life)} (which took ${Math.round(before.until - before.from)} ms), for no reason`)
      }
    }
  }

  /** Until when an order may make somebody render again: one that Redis was not told is told later. */
  #effectUntil (order: Ordering): number {
    if (order.isAcknowledged) return order.until
    const { troubles, settings: { bound } } = this.#history
    const ends = troubles.filter(({ from, until, life }) => (life === null || life === order.life) && from <= order.until + bound && until >= order.from).map(({ until }) => until)
    const end = Math.max(order.until, ...ends)
    // It may be queued through several troubles in a row.
    const after = troubles.filter(({ from, life, until }) => (life === null || life === order.life) && from <= end + bound && until > end).map(({ until }) => until)
    return Math.max(end, ...after) + bound
  }

  /** While Redis could be reached, orders are acknowledged: an instance that never does keeps every other promise. */
  #checkAcknowledged (): void {
    for (const order of this.#history.orders) {
      const slack = this.#slack(order.from, order.until)
      if ([null, order.life].some(life => this.#isTroubled(life, order.from - slack, order.until))) continue
      this.#verdict.checked.acknowledged++
      if (!order.isAcknowledged) this.#add({ rule: 'acknowledged', at: order.from, id: order.id, text: `${order.kind} of ${order.id ?? 'all'} by ${this.#nameOf(order.life)} was not acknowledged, though Redis could be reached` })
    }
  }

  /**
   * When all is well again, every instance shows what the last acknowledged
   * order announced (if anybody is left who knows of it), and after one more
   * purge all show one and the same render.
   */
  #checkConvergence (): void {
    const { settled, final, orders, lives } = this.#history
    for (const read of settled) {
      // Not tried again yet.
      if (read.status >= 500 && this.#failureOf(read) !== undefined) continue
      this.#verdict.checked.convergence++
      const known = orders.filter(order => order.isAcknowledged && concerns(order, read.id) && this.#isKnownFrom(order, read.from) !== null)
      const least = Math.max(0, ...known.map(order => order.version))
      const version = read.page?.version ?? 0
      if (version < least) this.#violated('convergence', read, `still shows v${version}, not v${least}`)
    }
    const living = lives.filter(life => life.until === Infinity)
    for (const [id, reads] of groupBy(final, read => read.id)) {
      this.#verdict.checked.convergence++
      const shown = new Set(reads.map(read => read.page?.render ?? `${read.status}`))
      const missing = living.filter(life => !reads.some(read => read.life === life.id))
      const last = reads.at(-1)
      if (last !== undefined && (shown.size !== 1 || missing.length > 0)) this.#violated('convergence', last, `instances show ${[...shown].join(', ')}${missing.map(life => `, ${life.name} nothing`).join('')} of ${id}`)
    }
  }

  #renderOf ({ page }: PageRead): RenderRun | null {
    return page === null ? null : this.#renders.get(page.render) ?? null
  }

  #endOf (render: RenderRun): number {
    return render.until === Infinity ? render.from : render.until
  }

  #isTroubled (life: number | null, from: number, until: number): boolean {
    return this.#history.troubles.some(trouble => trouble.life === life && trouble.from < until && trouble.until > from)
  }

  /** Milliseconds of a time in which a process did not run. */
  #frozen (life: number | null, from: number, until: number): number {
    let ms = 0
    for (const pause of this.#history.pauses) if (pause.life === life) ms += Math.max(0, Math.min(until, pause.until) - Math.max(from, pause.from))
    return ms
  }

  /** What the parent may be wrong by, in milliseconds: more when it did not run itself. */
  #slack (from: number, until: number): number {
    const { slack } = this.#history.settings
    return slack + 2 * this.#frozen(null, from - slack, until + slack)
  }

  #nameOf (life: number): string {
    return `${this.#lives.get(life)?.name ?? '?'}#${life}`
  }

  #violated (rule: Rule, read: PageRead, text: string): void {
    this.#add({ rule, at: read.from, id: read.id, text: `${this.#nameOf(read.life)} ${read.id} ${read.status} (${read.cacheStatus}): ${text}` })
  }

  #renderedWrongly (render: RenderRun, text: string): void {
    this.#add({ rule: 'one render', at: render.from, id: render.id, text: `${this.#nameOf(render.life)} ${render.id}: render ${render.render} ${text}` })
  }

  #add (violation: Violation): void {
    this.#verdict.violations.push(violation)
  }
}

function groupBy<T> (items: readonly T[], nameOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const name = nameOf(item)
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}

function concerns (order: Ordering, id: string): boolean {
  return order.id === null || order.id === id
}

/** What happened around a violation, line by line. */
export function excerpt (history: History, { at, id }: Violation, { before = 3000, after = 300, most = 60 } = {}): string[] {
  const nameOf = (life: number | null): string => life === null ? 'all' : `${history.lives.find(({ id }) => id === life)?.name ?? '?'}#${life}`
  const lines: { at: number, text: string }[] = []
  const isMine = (other: string | null): boolean => id === null || other === null || other === id
  for (const read of [...history.reads, ...history.settled, ...history.final]) {
    if (!isMine(read.id)) continue
    lines.push({ at: read.from, text: `${nameOf(read.life)} reads ${read.id}: ${read.status} ${read.page === null ? read.error ?? '' : `v${read.page.version} ${read.page.render.slice(0, 8)} age ${read.age ?? '-'}`} (${read.cacheStatus})${read.isConnected ? '' : ' cut off'}, took ${Math.round(read.until - read.from)}` })
  }
  for (const order of history.orders) if (isMine(order.id)) lines.push({ at: order.from, text: `${nameOf(order.life)} ${order.kind} ${order.id ?? 'all'} → v${order.version} ${order.isAcknowledged ? 'acknowledged' : 'DEGRADED'}, took ${Math.round(order.until - order.from)}` })
  for (const render of history.renders) if (isMine(render.id)) lines.push({ at: render.from, text: `${nameOf(render.life)} renders ${render.id}: v${render.version} ${render.render.slice(0, 8)} ${render.outcome}${render.isAlone ? ' ALONE' : ''}${render.isLive ? ' live' : ''}, took ${Math.round(render.until - render.from)}` })
  for (const trouble of history.troubles) {
    lines.push({ at: trouble.from, text: `--- ${trouble.what} (${nameOf(trouble.life)})` })
    lines.push({ at: trouble.until, text: `--- over: ${trouble.what} (${nameOf(trouble.life)})` })
  }
  for (const pause of history.pauses) lines.push({ at: pause.from, text: `--- ${pause.life === null ? 'the test' : nameOf(pause.life)} did not run for ${Math.round(pause.until - pause.from)}` })
  let last = ''
  for (const poll of history.polls) {
    const text = `${nameOf(poll.life)} is ${poll.isConnected ? 'connected' : 'cut off'} in ${poll.incarnation ?? '-'}`
    if (!last.includes(text)) lines.push({ at: poll.from, text })
    last = `${last.split('\n').filter(line => !line.startsWith(nameOf(poll.life))).join('\n')}\n${text}`
  }
  return lines
    .filter(line => line.at > at - before && line.at < at + after)
    .sort((a, b) => a.at - b.at)
    .slice(-most)
    .map(line => `${String(Math.round(line.at)).padStart(8)} ${line.text}`)
}
