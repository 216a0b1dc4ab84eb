import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether the client has this representation already (RFC 9110 section 13.1):
 * If-None-Match by weak comparison, `*` matching anything; If-Modified-Since
 * only without it.
 */
export function isNotModified (headers: IncomingHttpHeaders, etag: string, lastModified: number | null): boolean {
  const ifNoneMatch = headers['if-none-match']
  if (ifNoneMatch !== undefined) return matchesTag(ifNoneMatch, etag)
  const since = headers['if-modified-since']
  if (since === undefined || lastModified === null) return false
  const time = parseHttpDate(since)
  return time !== null && lastModified <= time
}

const TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** If-None-Match alone. */
export function matchesTag (ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === '*') return true
  const wanted = opaque(etag)
  // Malformed lists match nothing: the full answer is always right.
  if (ifNoneMatch.replace(TAGS, '').replace(/[\s,]/g, '') !== '') return false
  return ifNoneMatch.match(TAGS)?.some(tag => opaque(tag) === wanted) ?? false
}

function opaque (etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag
}

const TIME = '(?<hour>\\d{2}):(?<minute>\\d{2}):(?<second>\\d{2})'
/** Wed, 06 Nov 2024 08:49:37 GMT · Wednesday, 06-Nov-24 08:49:37 GMT · Wed Nov  6 08:49:37 2024 */
const DATES = [
  `[a-z]{3}, (?<day>\\d{2}) (?<month>[a-z]{3}) (?<year>\\d{4}) ${TIME} GMT`,
  `[a-z]{6,9}, (?<day>\\d{2})-(?<month>[a-z]{3})-(?<year>\\d{2}) ${TIME} GMT`,
  `[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`
].map(form => new RegExp(`^${form}$`, 'i'))
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

/**
 * Milliseconds of a date in one of the three forms of RFC 9110 section 5.6.7,
 * or null. `Date.parse` takes much else for a date, and the third form for
 * local time.
 */
export function parseHttpDate (text: string): number | null {
  for (const form of DATES) {
    const parts = form.exec(text.trim())?.groups
    if (parts === undefined) continue
    const month = MONTHS.indexOf((parts.month ?? '').toLowerCase())
    const [day = 0, hour = 0, minute = 0, second = 0] = [parts.day, parts.hour, parts.minute, parts.second].map(Number)
    const time = Date.UTC(fullYear(parts.year ?? ''), month, day, hour, minute, second)
    // A leap second is a time; the 31st of February and 25 o'clock are not.
    const isReal = month !== -1 && hour < 24 && minute < 60 && second <= 60 && new Date(time - second * 1000).getUTCDate() === day
    return isReal ? time : null
  }
  return null
}

/** Two digits that seem to be more than 50 years ahead are of the century before. */
function fullYear (digits: string): number {
  if (digits.length === 4) return Number(digits)
  const thisYear = new Date().getUTCFullYear()
  const year = thisYear - thisYear % 100 + Number(digits)
  return year > thisYear + 50 ? year - 100 : year
}
