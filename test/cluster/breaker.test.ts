import t from 'tap'
import { Breaker } from '../../lib/cluster/breaker.js'

function makeBreaker (random = 1): { breaker: Breaker, forward: (ms: number) => void } {
  let now = 5000
  return { breaker: new Breaker(() => now, () => random), forward: ms => { now += ms } }
}

/** Lets one through that fails. */
function fail (breaker: Breaker): boolean {
  const pass = breaker.enter()
  return pass !== null && breaker.fail(pass)
}

function open (breaker: Breaker): void {
  fail(breaker)
  fail(breaker)
}

t.test('two failures in a row open it, others do not', async (t) => {
  const { breaker } = makeBreaker()
  t.notOk(fail(breaker))
  breaker.succeed(breaker.enter() as number)
  t.notOk(fail(breaker))
  t.ok(breaker.isClosed)
  t.ok(fail(breaker))
  t.notOk(breaker.isClosed)
  t.equal(breaker.enter(), null)
})

t.test('after a while one is let through; when it succeeds, everybody', async (t) => {
  const { breaker, forward } = makeBreaker()
  open(breaker)
  forward(999)
  t.equal(breaker.enter(), null)
  forward(1)
  const probe = breaker.enter()
  t.not(probe, null)
  t.equal(breaker.enter(), null)
  t.notOk(breaker.isClosed, 'not before it is known')
  t.ok(breaker.succeed(probe as number))
  t.ok(breaker.isClosed)
  t.not(breaker.enter(), null)
})

t.test('each probe that fails makes the wait longer, up to a limit; a success makes it short again', async (t) => {
  const { breaker, forward } = makeBreaker()
  open(breaker)
  for (const wait of [1000, 2000, 4000, 5000, 5000]) {
    forward(wait - 1)
    t.equal(breaker.enter(), null, `not before ${wait} ms`)
    forward(1)
    t.ok(fail(breaker), `after ${wait} ms`)
  }
  forward(5000)
  breaker.succeed(breaker.enter() as number)
  open(breaker)
  forward(1000)
  t.not(breaker.enter(), null)
})

t.test('up to half of the wait is jitter', async (t) => {
  const { breaker, forward } = makeBreaker(0)
  open(breaker)
  forward(499)
  t.equal(breaker.enter(), null)
  forward(1)
  t.not(breaker.enter(), null)
})

t.test('calls from before it opened say nothing about the probe', async (t) => {
  const { breaker, forward } = makeBreaker()
  const [slow, late] = [breaker.enter() as number, breaker.enter() as number]
  open(breaker)
  t.notOk(breaker.succeed(slow))
  t.notOk(breaker.isClosed)
  forward(1000)
  const probe = breaker.enter() as number
  t.notOk(breaker.fail(late))
  t.notOk(breaker.succeed(slow))
  t.ok(breaker.succeed(probe))
})

t.test('a failure that belongs to no call counts as one, and ends a probe', async (t) => {
  const { breaker, forward } = makeBreaker()
  t.notOk(breaker.fail())
  t.ok(breaker.fail())
  t.notOk(breaker.fail(), 'it is open already')
  forward(1000)
  const probe = breaker.enter() as number
  t.ok(breaker.fail())
  t.notOk(breaker.succeed(probe))
  t.notOk(breaker.isClosed)
})
