import { createHash } from 'node:crypto'
import { InvalidDataKey } from '../errors.js'
import { show } from '../options.js'

/** Longer ones are hashed. */
const MAX_READABLE = 120
/** Visitors may have sent it, and the stack has an end. */
const MOST_DEPTH = 100

/**
 * One text for equal arguments, whatever the order of an object's properties.
 * Everything carries its type, so that `1` and `'1'` differ.
 *
 * @throws FST_ISR_ERR_DATA_KEY for what has no stable form: functions, symbols, instances of classes
 */
export function argumentKey (name: string, value: unknown): string {
  const text = write(name, value, [])
  return text.length <= MAX_READABLE ? text : `#${createHash('sha256').update(text).digest('base64url')}`
}

function write (name: string, value: unknown, above: object[]): string {
  switch (typeof value) {
    case 'string': return quote(value)
    case 'number': return Object.is(value, -0) ? '0' : String(value)
    case 'bigint': return `${value}n`
    case 'boolean':
    case 'undefined': return String(value)
    case 'object': return value === null ? 'null' : writeObject(name, value, above)
    default: throw new InvalidDataKey(name, `${show(value)} has no stable form`)
  }
}

/** `above` is one list for the whole of a key: a copy per object would cost more than the key. */
function writeObject (name: string, value: object, above: object[]): string {
  if (above.length >= MOST_DEPTH) throw new InvalidDataKey(name, `it is nested more than ${MOST_DEPTH} deep`)
  if (above.includes(value)) throw new InvalidDataKey(name, 'an object that contains itself has no end')
  above.push(value)
  const text = writeKind(name, value, item => write(name, item, above))
  above.pop()
  return text
}

/** As JSON has it; most strings hold nothing that JSON escapes, and looking is cheaper than asking it. */
function quote (text: string): string {
  return /^[\w ./:@-]*$/.test(text) ? `"${text}"` : JSON.stringify(text)
}

function writeKind (name: string, value: object, inner: (item: unknown) => string): string {
  if (Array.isArray(value)) return `[${value.map(inner).join(',')}]`
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    let text = ''
    for (const key of Object.keys(value).sort()) text += `${text === '' ? '' : ','}${quote(key)}:${inner((value as Record<string, unknown>)[key])}`
    return `{${text}}`
  }
  if (value instanceof Date) return `Date(${value.getTime()})`
  if (value instanceof URL) return `URL(${JSON.stringify(value.href)})`
  if (value instanceof Set) return `Set(${[...value].map(inner).sort().join(',')})`
  if (value instanceof Map) return `Map(${[...value].map(([key, item]) => `${inner(key)}:${inner(item)}`).sort().join(',')})`
  throw new InvalidDataKey(name, `an instance of ${value.constructor?.name ?? 'a class'} has no stable form; give a 'key'`)
}
