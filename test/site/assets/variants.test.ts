import fc from 'fast-check'
import { test } from 'tap'
import { isSmaller, withoutUseless } from '../../../lib/site/assets/variants.js'
import { holds } from '../../helpers/property.js'

const candidates = fc.uniqueArray(fc.record({ width: fc.integer({ min: 1, max: 40 }), bytes: fc.integer({ min: 1, max: 60 }) }), { selector: one => one.width, maxLength: 8 })

test('of what is kept, wider is larger; what is dropped is beaten by something wider', t => {
  holds(t, fc.property(candidates, all => {
    const kept = withoutUseless(all)
    const isSorted = kept.every((one, index) => index === 0 || (one.width > (kept[index - 1]?.width ?? 0) && one.bytes > (kept[index - 1]?.bytes ?? 0)))
    const dropped = all.filter(one => !kept.includes(one))
    return isSorted && dropped.every(one => kept.some(other => other.width > one.width && other.bytes <= one.bytes))
  }))
  t.end()
})

test('a format is worth its place if browsers load less with it', t => {
  const fallback = [{ width: 100, bytes: 10 }, { width: 200, bytes: 40 }]
  t.ok(isSmaller([{ width: 200, bytes: 20 }], fallback, [100, 200]), '20 twice is less than 10 and 40')
  t.notOk(isSmaller([{ width: 200, bytes: 25 }], fallback, [100, 200]), '25 twice is not')
  t.notOk(isSmaller([], fallback, [100, 200]))
  t.end()
})
