import { parseDate } from '../dates.js'

/** Changes a value before it is written. What it returns is escaped like any value. */
export type TemplateFilter = (value: unknown) => unknown
export type TemplateFilters = Readonly<Record<string, TemplateFilter>>

/** The last filter of a value in a script: it belongs to the compiler, as what it returns must not be escaped. */
export const JSON_FILTER = 'json'

const DAY = /^\d{4}-\d{2}-\d{2}$/

/** The filters that every template has. Null and undefined, of optional values, stay what they are. */
export function builtInFilters (language: string): TemplateFilters {
  const format = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeZone: 'UTC' })
  const filters: Record<string, TemplateFilter> = {
    date: value => {
      const date = toDate(value)
      return date === null ? value : format.format(date)
    },
    iso: value => {
      const date = toDate(value)
      if (date === null) throw new TypeError(`${JSON.stringify(value)} is no date`)
      return typeof value === 'string' && DAY.test(value) ? value : date.toISOString()
    },
    [JSON_FILTER]: toJson,
    url: value => encodeURIComponent(String(value).replace(/\p{Surrogate}/gu, '\uFFFD')),
    count
  }
  return Object.fromEntries(Object.entries(filters).map(([name, filter]) =>
    [name, (value: unknown) => value === undefined || value === null ? value : filter(value)]))
}

/** A string that is no date in ISO form, or of a day that there is not, is left to be shown as it is: null. */
function toDate (value: unknown): Date | null {
  if (typeof value === 'string') return parseDate(value)
  if (typeof value !== 'number' && !(value instanceof Date)) throw new TypeError('neither a date, a string nor milliseconds')
  const date = new Date(value)
  if (Number.isNaN(date.getTime())) throw new TypeError('not a valid date')
  return date
}

/** @throws TypeError for what JSON does not know */
export function toJson (value: unknown): string {
  const json = JSON.stringify(value ?? null) as string | undefined
  if (json === undefined) throw new TypeError(`a ${typeof value} is nothing that JSON knows`)
  return json
}

function count (value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length
  if (typeof value === 'object' && value !== null) {
    if ('size' in value && typeof value.size === 'number') return value.size
    if (Symbol.iterator in value) return [...value as Iterable<unknown>].length
  }
  throw new TypeError('nothing that can be counted: a string or something iterable can')
}
