// Poisoning (T01 to T05, T07, T09, T17): whatever was sent to a page first, the visitors after it
// must get what they get from the same app that nobody has attacked.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import isr from '../../lib/index.js'
import { TestClock, type RawAnswer } from '../helpers/app.js'
import { CANARY, cleanRequest, makeAttacks, type Attack } from './attacks.js'
import naive from './naive.js'
import { reflectingApp } from './reflecting-app.js'
import { Connection, strike } from './wire.js'

const ATTACKS = makeAttacks()
/** Attacks at the same time; enough to keep the server busy, so that waiting costs nothing. */
const AT_ONCE = 96

interface Finding {
  attack: string
  what: string
}

/** One answer in a form that can be compared: without what passes with time. */
function essence ({ status, headers, body }: RawAnswer): string {
  const { date: _date, age: _age, 'keep-alive': _keepAlive, ...others } = headers
  return JSON.stringify([status, Object.entries(others).sort(), body.toString('latin1')])
}

async function run (t: { teardown (fn: () => unknown): void }, attacks: readonly Attack[], addCache: (app: FastifyInstance) => unknown): Promise<{ findings: Finding[], stored: number }> {
  const attacked = await reflectingApp(addCache)
  const twin = await reflectingApp(addCache)
  t.teardown(() => attacked.app.close())
  t.teardown(() => twin.app.close())
  const findings: Finding[] = []
  let stored = 0
  for (let start = 0; start < attacks.length; start += AT_ONCE) {
    const batch = attacks.slice(start, start + AT_ONCE)
    await Promise.all(batch.map(async ({ blows }) => { for (const blow of blows) await strike(attacked.port, Buffer.from(blow, 'latin1')) }))
    const requests = batch.map(({ path }) => cleanRequest(path))
    // A page that may not be stored is answered by its render first and live then: a third visit shows both.
    const [mine, theirs] = await Promise.all([visit(attacked.port, requests, 2), visit(twin.port, requests, 3)])
    batch.forEach(({ name }, index) => {
      const right = new Set(theirs.map(round => essence(round[index] as RawAnswer)))
      if (right.size === 1) stored++
      for (const [round, answers] of mine.entries()) {
        const answer = answers[index] as RawAnswer
        if (answer.bytes.toString('latin1').toLowerCase().includes(CANARY)) findings.push({ attack: name, what: `the canary in answer ${round + 1}` })
        else if (!right.has(essence(answer))) findings.push({ attack: name, what: `answer ${round + 1} differs: ${essence(answer).slice(0, 300)} instead of ${[...right].join(' or ').slice(0, 300)}` })
      }
    })
  }
  return { findings, stored }
}

async function visit (port: number, requests: readonly string[], rounds: number): Promise<RawAnswer[][]> {
  const connection = new Connection(port)
  try {
    const answers: RawAnswer[][] = []
    for (let round = 0; round < rounds; round++) answers.push(await connection.send(requests))
    return answers
  } finally {
    connection.close()
  }
}

t.test('no attack on a page changes what visitors after it get', async (t) => {
  t.ok(ATTACKS.length >= 1300, `${ATTACKS.length} attacks`)
  t.equal(new Set(ATTACKS.map(attack => attack.path)).size, ATTACKS.length, 'each on a path of its own')
  t.ok(ATTACKS.every(({ blows }) => blows.every(blow => blow !== '')))
  // Time stands still: how long a failure is remembered is no difference.
  const { read: clock } = new TestClock()
  const { findings, stored } = await run(t, ATTACKS, app => app.register(isr, { disk: false, baseUrl: 'https://good.example', cacheStatus: false, clock }))
  for (const { attack, what } of findings) t.fail(`${attack}: ${what}`)
  t.ok(stored > 1000, `${stored} of the pages are ones that are stored`)
})

t.test('the same attacks on a cache that renders what visitors send', async (t) => {
  const { findings } = await run(t, ATTACKS, app => app.register(naive))
  const attacks = new Set(findings.map(finding => finding.attack))
  t.comment(`${attacks.size} of ${ATTACKS.length} attacks succeed`)
  t.ok(attacks.size >= 50, 'the test bites')
  for (const kind of ['header x-forwarded-host', 'Cookie: sid=C', 'status 404 by a header', 'framing: fat GET', 'Host: C.example (page)']) t.ok(attacks.has(kind), kind)
})
