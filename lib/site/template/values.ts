import { escapeText } from './escape.js'
import { SafeHtml } from './safe-html.js'

const OBJECT = Object.prototype as unknown as Readonly<Record<string, unknown>>

function field (value: unknown, key: string): unknown {
  return value === undefined || value === null ? undefined : (value as Record<string, unknown>)[key]
}

/**
 * A function for what stands at a path. What every object inherits (`constructor`, `toString`) is no
 * value, also where a class or a list has another of that name; getters of classes are.
 */
export function fieldReader (path: readonly string[]): (root: unknown) => unknown {
  const [first = '', second = ''] = path
  if (path.some(key => key in OBJECT)) {
    return root => path.reduce<unknown>((value, key) => {
      const inner = field(value, key)
      return key in OBJECT && (typeof inner === 'function' || inner === OBJECT[key]) ? undefined : inner
    }, root)
  }
  if (path.length === 1) return root => field(root, first)
  if (path.length === 2) return root => field(field(root, first), second)
  return root => path.reduce(field, root)
}

/**
 * A value as text; null is none.
 * @throws TypeError for what would only show how it is called inside, or what its own text throws
 */
export function print (value: unknown): string {
  switch (typeof value) {
    case 'string': return value
    case 'number': case 'bigint': case 'boolean': return String(value)
    case 'undefined': return ''
    case 'object': return value === null ? '' : printObject(value)
    default: throw new TypeError(`a ${typeof value} can't be written`)
  }
}

function printObject (value: object): string {
  if (value instanceof Date) throw new TypeError('a date has no one way to be written: add "| date" or "| iso"')
  if (Array.isArray(value)) throw new TypeError('an array is written with <% each %>, or with "| json"')
  if (typeof value.toString !== 'function' || value.toString === Object.prototype.toString) throw new TypeError('an object is written with a path to one of its fields, or with "| json"')
  return String(value)
}

/** As markup: text is escaped. */
export function toMarkup (value: unknown): string {
  return value instanceof SafeHtml ? value.html : escapeText(print(value))
}

/** An empty list is as good as none. */
export function isTruthy (value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return Boolean(value)
  if (value instanceof SafeHtml) return value.html !== ''
  if (Array.isArray(value)) return value.length > 0
  return value instanceof Map || value instanceof Set ? value.size > 0 : true
}
