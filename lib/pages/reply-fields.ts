import type { FastifyReply } from 'fastify'

/** What has been set on a reply, as it is: `reply.getHeaders()` makes a copy for everybody who asks. */
export interface Fields {
  readonly headers: Readonly<Record<string, unknown>>
  /** Fastify writes them after the body. */
  readonly trailers: unknown
}

interface Symbols { readonly headers: symbol, readonly trailers: symbol }

let symbols: Symbols | null | undefined

/** Null for a Fastify that keeps them elsewhere. */
export function fieldsOf (reply: FastifyReply): Fields | null {
  symbols ??= symbols === undefined ? find(reply) : null
  if (symbols === null) return null
  const fields = reply as unknown as Record<symbol, unknown>
  return { headers: fields[symbols.headers] as Fields['headers'], trailers: fields[symbols.trailers] }
}

function find (reply: FastifyReply): Symbols | null {
  const named = (name: string): symbol | undefined => Object.getOwnPropertySymbols(reply).find(({ description }) => description === `fastify.reply.${name}`)
  const [headers, trailers] = [named('headers'), named('trailers')]
  if (headers === undefined || trailers === undefined) return null
  const set = (reply as unknown as Record<symbol, unknown>)[headers]
  return typeof set === 'object' && set !== null ? { headers, trailers } : null
}

export function isEmpty (headers: object): boolean {
  for (const name in headers) if (name !== '') return false
  return true
}
