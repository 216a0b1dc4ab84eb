const DATE = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,3})\d{0,6})?)?(Z|[+-]\d{2}:?\d{2})?)?$/

/**
 * RFC 3339, with less of it allowed: a day alone, a time without seconds. What
 * names no zone is in UTC, so that all machines agree. Null if it is none, or
 * if there is no such day or time.
 */
export function parseDate (text: string): Date | null {
  const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '0', zone = 'Z'] = DATE.exec(text) ?? []
  if (year === undefined) return null
  // Without the check, 30 February would be 2 March.
  const midnight = new Date(`${year}-${month}-${day}T00:00:00Z`)
  if (Number.isNaN(midnight.getTime()) || midnight.getUTCDate() !== Number(day)) return null
  const date = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction}${zone.replace(/(\d{2})(\d{2})$/, '$1:$2')}`)
  return Number.isNaN(date.getTime()) ? null : date
}
