/** Accept-Encoding → the codings it accepts. Browsers send a handful of values: parsed once each. */
const parsed = new Map<string, Acceptable>()
const MOST_PARSED = 1000
const MAX_LENGTH = 1024

interface Acceptable {
  readonly qualities: ReadonlyMap<string, number>
  readonly others: number | null
}

/**
 * The first of `encodings`, in the server's order, that the client accepts;
 * null when it accepts none (RFC 9110 section 12.5.3). Without the header, or
 * with an empty one, identity is sent although others might be acceptable:
 * such clients rarely decode anything.
 */
export function negotiate (header: string | undefined, encodings: readonly string[]): string | null {
  if (header === undefined || header === '') return encodings.includes('identity') ? 'identity' : null
  const acceptable = parse(header)
  for (const encoding of encodings) {
    if (qualityOf(encoding, acceptable) > 0) return encoding
  }
  return null
}

function qualityOf (encoding: string, { qualities, others }: Acceptable): number {
  const explicit = qualities.get(encoding)
  if (explicit !== undefined) return explicit
  // Identity needs no mention; only `*;q=0` or its own q=0 refuses it.
  return others ?? (encoding === 'identity' ? 1 : 0)
}

function parse (header: string): Acceptable {
  const known = parsed.get(header)
  if (known !== undefined) return known
  const qualities = new Map<string, number>()
  for (const part of header.slice(0, MAX_LENGTH).split(',')) {
    const [name = '', ...parameters] = part.trim().toLowerCase().split(';')
    const encoding = name.trim() === 'x-gzip' ? 'gzip' : name.trim()
    if (encoding === '') continue
    qualities.set(encoding, Math.max(qualities.get(encoding) ?? 0, readQuality(parameters)))
  }
  const acceptable = { qualities, others: qualities.get('*') ?? null }
  if (parsed.size < MOST_PARSED && header.length <= MAX_LENGTH) parsed.set(header, acceptable)
  return acceptable
}

function readQuality (parameters: string[]): number {
  const parameter = parameters.map(text => text.trim()).find(text => text.startsWith('q='))
  if (parameter === undefined) return 1
  const text = parameter.slice(2)
  return /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(text) ? Number(text) : 1
}
