// The judge of history.test.ts, judged: hand-made histories, a right one and for each rule wrong ones.
import t from 'tap'
import { check, type History, type Ordering, type PageRead, type Poll, type RenderRun, type Rule, type Trouble } from '../helpers/history.js'

const BOUND = 1000
const SLACK = 100

/** Two instances, one page, nothing wrong: rendered at 0, read by both, purged at 5000, rendered again, read again. */
function good (): History {
  return {
    settings: { bound: BOUND, slack: SLACK, windows: () => ({ ttl: 60, staleWhileRevalidate: 10, staleIfError: 10 }) },
    lives: [{ id: 0, name: 'a', from: -1000, until: Infinity }, { id: 1, name: 'b', from: -1000, until: Infinity }],
    renders: [render('r1', 0, { version: 1 }), render('r2', 5100, { version: 2, life: 1 }), render('r3', 20_050, { version: 2 })],
    reads: [read('r1', 100), read('r1', 200, { life: 1 }), read('r2', 5200, { life: 1 }), read('r2', 9000)],
    orders: [order(5000, { version: 2 }), order(20_000, { version: 2, life: 1 })],
    troubles: [],
    polls: [poll(0, 1), poll(1, 1)],
    pauses: [],
    settled: [read('r2', 19_000), read('r2', 19_000, { life: 1 })],
    final: [read('r3', 22_000), read('r3', 22_000, { life: 1 })]
  }
}

function render (name: string, from: number, more: Partial<RenderRun> = {}): RenderRun {
  return { render: name, id: 'x', life: 0, version: 1, from, until: from + 20, outcome: 'page', isAlone: false, isLive: false, ...more }
}

const VERSIONS: Record<string, number> = { r1: 1, r2: 2, r3: 2 }
const ENDS: Record<string, number> = { r1: 20, r2: 5120, r3: 20_070 }

function read (name: string | null, from: number, more: Partial<PageRead> = {}): PageRead {
  return {
    life: 0,
    id: 'x',
    from,
    until: from + 10,
    status: name === null ? 500 : 200,
    error: null,
    isTorn: false,
    page: name === null ? null : { version: VERSIONS[name] ?? 1, render: name },
    age: name === null ? null : Math.max(0, Math.floor((from - (ENDS[name] ?? 0)) / 1000)),
    cacheStatus: 'hit',
    isConnected: true,
    ...more
  }
}

function order (from: number, more: Partial<Ordering> = {}): Ordering {
  return { life: 0, kind: 'purge', id: 'x', from, until: from + 10, isAcknowledged: true, version: 2, ...more }
}

function trouble (from: number, until: number, more: Partial<Trouble> = {}): Trouble {
  return { what: 'cut', from, until, life: null, lostFrom: null, ...more }
}

function poll (life: number, from: number, more: Partial<Poll> = {}): Poll {
  return { life, from, until: from + 1, isConnected: true, incarnation: 'i1', ...more }
}

function rules (change: (history: History) => void): Rule[] {
  const history = good()
  change(history)
  return [...new Set(check(history).violations.map(({ rule }) => rule))]
}

const replace = (history: History, name: string, more: Partial<RenderRun>): void => {
  history.renders = history.renders.map(each => each.render === name ? { ...each, ...more } : each)
}

t.test('a right history', async t => {
  const { violations, checked, forgotten } = check(good())
  t.same(violations, [])
  t.equal(forgotten, 0)
  for (const [rule, times] of Object.entries(checked)) t.ok(times > 0, rule)
})

t.test('a page from before a purge', async t => {
  const late = 5010 + BOUND + 2 * SLACK
  t.same(rules(h => { h.reads.push(read('r1', late, { life: 1 })) }), ['purged', 'never back'])
  t.same(rules(h => { h.reads[2] = read('r1', late, { life: 1 }) }), ['purged'], 'by an instance that has never shown a newer one')
  t.same(rules(h => { h.reads[2] = read('r1', 5011 + BOUND / 2, { life: 1 }) }), [], 'within the bound')
  t.same(rules(h => { h.reads[2] = read('r1', late, { life: 1, isConnected: false }) }), [], 'by one that knows that it is cut off')
  t.same(rules(h => { h.reads.push(read('r1', 5020)) }), ['purged'], 'by the one that was told, there is no bound')
  t.same(rules(h => {
    h.orders.push(order(3000, { isAcknowledged: false }))
    h.troubles.push(trouble(2000, 5000))
    h.reads.push(read('r1', 3020, { isConnected: false }))
  }), ['purged'], 'nor need it be acknowledged, nor the instance connected')
  t.same(rules(h => {
    h.orders.push(order(3000, { isAcknowledged: false }))
    h.troubles.push(trouble(2000, 5000))
    h.reads.push(read('r1', 4900, { life: 1 }))
  }), [], 'what was not acknowledged is not promised by others')
  t.same(rules(h => {
    h.reads[2] = read('r1', late + 500, { life: 1 })
    h.pauses.push({ life: 1, from: 5005, until: 5900 })
  }), [], 'a process that does not run hears nothing')
  t.same(rules(h => {
    h.reads[2] = read('r1', late + 500, { life: 1 })
    h.pauses.push({ life: 0, from: 5005, until: 5900 })
  }), ['purged'], 'which excuses no other')
  t.same(rules(h => {
    h.orders.push(order(3000, { kind: 'revalidate' }))
    h.reads.push(read('r1', 4900))
  }), [], 'revalidated, it may be served')
  t.same(rules(h => { h.orders = h.orders.map(each => ({ ...each, id: null })); h.reads[2] = read('r1', late, { life: 1 }) }), ['purged'], 'all pages are purged')
  t.same(rules(h => { h.orders[0] = order(5000, { id: 'y' }); replace(h, 'r2', { from: 20_040 }); h.renders.pop(); h.reads = [read('r1', late)]; h.settled = []; h.final = [] }), [], 'another is')
})

t.test('a purge that Redis has lost', async t => {
  const lost = trouble(6500, 8000, { lostFrom: -Infinity, what: 'lost' })
  const old = read('r1', 12_000, { life: 1 })
  const base = (h: History): void => { h.troubles.push(lost); h.reads = [read('r1', 100), old]; h.settled = [] }
  t.same(rules(h => { base(h); h.polls.push(poll(0, 9000, { incarnation: 'i2' })) }), ['purged'], 'its giver lives and has met the new one')
  t.same(rules(h => { base(h); h.polls.push(poll(0, 11_500, { incarnation: 'i2' })) }), [], 'a moment ago')
  t.same(rules(h => { base(h); h.polls.push(poll(0, 9000)) }), [], 'its giver may not have noticed yet')
  t.same(rules(h => { base(h); h.polls.push(poll(0, 9000, { incarnation: 'i2', isConnected: false })) }), [], 'its giver can\'t reach it')
  t.same(rules(h => { base(h); h.polls.push(poll(1, 9000, { incarnation: 'i2' })) }), [], 'nobody but one that did not know')
  t.same(rules(h => { base(h); h.polls.push(poll(1, 6400), poll(1, 9000, { incarnation: 'i2' })) }), ['purged'], 'one that had heard of it')
  t.same(rules(h => { base(h); h.troubles = [{ ...lost, lostFrom: 6000 }] }), ['purged'], 'it was kept')
  t.same(rules(h => { base(h); h.troubles = [{ ...lost, lostFrom: -Infinity, from: 3000, until: 4000 }] }), ['purged'], 'it came later')
  t.equal(check({ ...good(), troubles: [lost], reads: [old] }).forgotten, 1, 'silence is counted')
})

t.test('a body that is not one whole render', async t => {
  t.same(rules(h => { h.reads.push(read(null, 300, { status: 0, isTorn: true, error: 'a torn page' })) }), ['whole'])
  t.same(rules(h => { h.reads.push(read('r9', 300)) }), ['whole'], 'never was')
  t.same(rules(h => { h.reads.push({ ...read('r1', 300), page: { render: 'r1', version: 2 } }) }), ['whole'], 'another version')
  t.same(rules(h => { h.reads.push({ ...read('r1', 300), id: 'y' }) }), ['whole'], 'another page')
  t.same(rules(h => { h.reads.push(read('r2', 4000, { age: 0 })) }), ['whole', 'age'], 'before it began')
  t.same(rules(h => { h.renders.push(render('rf', 5300, { outcome: 'failure' })); h.reads.push({ ...read('r2', 5400), page: { render: 'rf', version: 1 }, age: 0 }) }), ['whole'], 'of a render that failed')
})

t.test('a render for no reason', async t => {
  t.same(rules(h => { h.renders.push(render('again', 1000)) }), ['one render'])
  t.same(rules(h => { h.renders.push(render('again', 10, { life: 1 })) }), ['one render'], 'beside another')
  t.same(rules(h => { h.renders.push(render('again', 1000)); h.orders.push(order(900)) }), [], 'an order in between')
  t.same(rules(h => { h.renders.push(render('again', 1000, { life: 1 })); h.troubles.push(trouble(500, 900, { life: 1 })) }), [], 'trouble of one of the two')
  t.same(rules(h => { h.renders.push(render('again', 1000, { life: 1 })); h.troubles.push(trouble(500, 900)) }), [], 'trouble of Redis')
  t.same(rules(h => { h.renders.push(render('again', 1000, { life: 1 })); h.troubles.push(trouble(500, 900, { life: 2 })) }), ['one render'], 'trouble of a third')
  t.same(rules(h => { h.renders.push(render('again', 1000, { isLive: true })) }), [], 'a live answer is none')
  t.same(rules(h => { replace(h, 'r2', { isAlone: true }) }), ['one render'], 'without asking')
  t.same(rules(h => { h.settings.windows = () => ({ ttl: 3, staleWhileRevalidate: 60, staleIfError: 0 }); h.renders.push(render('again', 3100)) }), [], 'its time was over')
  t.same(rules(h => { h.settings.windows = () => ({ ttl: 3, staleWhileRevalidate: 60, staleIfError: 0 }); h.renders.push(render('again', 2000)) }), ['one render'], 'not yet')
  t.same(rules(h => {
    h.renders.push(render('again', 4800))
    h.troubles.push(trouble(200, 4000, { life: 2 }))
    h.orders.push(order(300, { life: 2, isAcknowledged: false }))
  }), [], 'an order that Redis was told later')
})

t.test('an older page after a newer one', async t => {
  const soft = (h: History): void => { h.orders = h.orders.map(each => ({ ...each, kind: 'revalidate' })) }
  t.same(rules(h => { soft(h); h.reads.push(read('r1', 10_000)) }), ['never back'])
  t.same(rules(h => { soft(h); h.reads[3] = read('r1', 9000) }), [], 'by another instance')
  t.same(rules(h => { soft(h); h.reads.push(read('r1', 8995)) }), [], 'beside each other')
  t.same(rules(h => {
    soft(h)
    replace(h, 'r2', { isAlone: true, life: 1 })
    h.troubles.push(trouble(5000, 6000, { life: 1 }))
    h.reads.push(read('r1', 10_000))
    h.settled = []
  }), [], 'the newer one was rendered without knowing of the order')
})

t.test('an error though there is a page', async t => {
  const failed = render('rf', 1000, { outcome: 'failure' })
  t.same(rules(h => { h.reads.push(read(null, 300)) }), ['no error'], 'nothing has failed')
  t.same(rules(h => { h.renders.push(failed); h.orders.push(order(900)); h.reads.push(read(null, 1100, { life: 0 })) }), [], 'purged, and it can\'t be rendered')
  t.same(rules(h => { h.renders.push(failed); h.orders.push(order(900, { kind: 'revalidate' })); h.reads.push(read(null, 1100)) }), ['no error'], 'it has shown it')
  t.same(rules(h => { h.renders.push(failed); h.orders.push(order(900, { kind: 'revalidate' })); h.reads.splice(1, 1); h.reads.push(read(null, 1100, { life: 1 })) }), ['no error'], 'another has')
  t.same(rules(h => {
    h.renders.push(failed)
    h.orders.push(order(900, { kind: 'revalidate' }))
    h.reads.splice(1, 1)
    h.reads.push(read(null, 1100, { life: 1 }))
    h.troubles.push(trouble(50, 600, { life: 1 }))
  }), [], 'which can\'t be reached')
  t.same(rules(h => { h.reads.push(read(null, 300, { status: 0, error: 'reset' })) }), ['no error'], 'no answer')
  t.same(rules(h => { h.lives.push({ id: 2, name: 'c', from: 0, until: 305 }); h.reads.push(read(null, 300, { life: 2, status: 0, error: 'reset' })) }), [], 'of one that was killed')
})

t.test('an age that can\'t be', async t => {
  t.same(rules(h => { h.reads.push(read('r2', 9000, { age: -1 })) }), ['age'], 'negative')
  t.same(rules(h => { h.reads.push(read('r2', 9000, { age: 1 })) }), ['age'], 'counted from when it was loaded')
  t.same(rules(h => { h.reads.push(read('r2', 9000, { age: 1 })); h.pauses.push({ life: 1, from: 5110, until: 7000 }) }), [], 'who rendered it did not run')
  t.same(rules(h => { h.reads.push(read('r2', 9000, { age: 30 })) }), ['age'], 'too old')
  t.same(rules(h => { h.reads.push(read('r2', 9000, { age: null })) }), ['age'], 'none')
  t.same(rules(h => { h.settings.windows = () => ({ ttl: 2, staleWhileRevalidate: 1, staleIfError: 3 }); h.settled = [] }), ['age'], 'served for longer than it may be')
  t.same(rules(h => { h.settings.windows = () => ({ ttl: 2, staleWhileRevalidate: 1, staleIfError: 3 }); h.settled = []; h.reads = h.reads.map(each => ({ ...each, cacheStatus: 'hit; detail=stale-if-error' })) }), [], 'for want of anything better')
})

t.test('instances that do not come to agree', async t => {
  t.same(rules(h => { h.orders[0] = order(5000, { kind: 'revalidate' }); h.settled[1] = read('r1', 19_000, { life: 1 }); h.reads = h.reads.filter(each => each.life === 0) }), ['convergence'], 'an old version')
  t.same(rules(h => { h.renders.push(render('r4', 20_500, { life: 1 })); h.troubles.push(trouble(20_100, 20_400)); h.final[1] = { ...read('r3', 22_000, { life: 1 }), page: { render: 'r4', version: 1 } } }), ['convergence'], 'two renders')
  t.same(rules(h => { h.final.pop() }), ['convergence'], 'one shows nothing')
})

t.test('an order that is not acknowledged for no reason', async t => {
  t.same(rules(h => { h.orders.push(order(3000, { isAcknowledged: false, kind: 'revalidate' })) }), ['acknowledged'])
  t.same(rules(h => { h.orders.push(order(3000, { isAcknowledged: false, kind: 'revalidate' })); h.troubles.push(trouble(2000, 3500, { life: 0 })) }), [])
})
