import type { FieldType } from '../../../types/site.js'
import { parseDate } from '../dates.js'
import { frontMatterError, shorten } from './front-matter.js'

export type Schema = Readonly<Record<string, FieldType>>

/**
 * Front matter with the keys of the schema converted; others stay as they are.
 * A date is a `Date`; one without a zone is in UTC, so that all machines agree.
 * A list may also be written as one text with commas. Keys that are missing, or
 * have no value, are missing in the result.
 *
 * @throws FST_ISR_ERR_SITE_FRONT_MATTER, with `file` and `line`
 */
export function applySchema (data: Readonly<Record<string, unknown>>, schema: Schema, file: string, lines: Readonly<Record<string, number>> = {}): Record<string, unknown> {
  const converted: Record<string, unknown> = Object.create(null)
  for (const [key, value] of Object.entries(data)) {
    const type = Object.hasOwn(schema, key) ? schema[key] as FieldType : null
    if (type === null) converted[key] = value
    else if (value !== '' && value !== null && value !== undefined) {
      converted[key] = CONVERT[type](value, wanted => {
        throw frontMatterError(file, lines[key] ?? 1, `'${key}' must be ${wanted}, got ${show(value)}`)
      })
    }
  }
  return converted
}

type Convert = (value: unknown, fail: (wanted: string) => never) => unknown

const CONVERT: Record<FieldType, Convert> = {
  text: (value, fail) => Array.isArray(value) || (typeof value === 'object' && value !== null) ? fail('a text') : String(value),
  boolean: (value, fail) => typeof value === 'boolean' ? value : fail('true or false'),
  number: (value, fail) => {
    if (typeof value === 'number' && Number.isFinite(value)) return value
    return typeof value === 'string' && /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(value) && Number.isFinite(Number(value)) ? Number(value) : fail('a number')
  },
  list: (value, fail) => {
    if (Array.isArray(value)) return value.map(String)
    return typeof value === 'string' ? value.split(',').map(item => item.trim()).filter(item => item !== '') : fail('a list')
  },
  date: (value, fail) => {
    const date = value instanceof Date ? value : typeof value === 'string' ? parseDate(value) : null
    return date === null || Number.isNaN(date.getTime()) ? fail("a date that exists, such as '2026-02-25' or '2026-02-25T10:30:00Z'") : date
  }
}

function show (value: unknown): string {
  return Array.isArray(value) ? 'a list' : typeof value === 'string' ? `'${shorten(value)}'` : String(value)
}
