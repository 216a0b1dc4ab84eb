// A recorded history of several processes on one Redis and a faulty network, judged afterwards.
// The one of `npm test` is short; ISR_LONG=1 makes it a minute. A seed is given with ISR_SEED.
import { appendFile, readFile } from 'node:fs/promises'
import t from 'tap'
import { check, excerpt } from '../helpers/history.js'
import { runHistory } from '../helpers/history-run.js'

/** Seeds that have found something once, one per line. */
const SEEDS = new URL('../../../test/cluster/history-seeds.txt', import.meta.url)
const isLong = process.env['ISR_LONG'] === '1'
const given = process.env['ISR_SEED']
const seconds = Number(process.env['ISR_SECONDS'] ?? (isLong ? 60 : 6))
/** Known seeds run by `npm test`, so that it does not become longer with each. */
const MOST_KNOWN = 1
/** Violations shown. */
const MOST_SHOWN = 5

const known = (await readFile(SEEDS, 'utf8')).split('\n').map(line => line.replace(/#.*/, '').trim()).filter(line => line !== '').map(Number)
const fresh = Math.floor(Math.random() * 2 ** 31)
const seeds = given !== undefined ? [Number(given)] : [...known.slice(isLong ? 0 : -MOST_KNOWN), fresh]

for (const seed of seeds) {
  t.test(`seed ${seed}, ${seconds} s`, async t => {
    const { history, counts } = await runHistory(t, {
      seed,
      seconds,
      dir: t.testdir(),
      ...(isLong ? { heartbeat: 500, leaseTtl: 3000 } : {})
    })
    const { violations, checked, forgotten } = check(history)
    t.comment(JSON.stringify({ seed, seconds, ...counts, checked, forgotten }))
    for (const [rule, times] of Object.entries(checked)) t.ok(times > 0, `${rule}: ${times} times`)
    for (const violation of violations.slice(0, MOST_SHOWN)) {
      t.fail(`${violation.rule}: ${violation.text}; ISR_SEED=${seed}`, { at: null, stack: '', history: excerpt(history, violation) })
    }
    t.equal(violations.length, 0, `violations; ISR_SEED=${seed}`)
    if (violations.length > 0 && !known.includes(seed)) await appendFile(SEEDS, `${seed} # ${violations[0]?.rule ?? ''}\n`)
  })
}
