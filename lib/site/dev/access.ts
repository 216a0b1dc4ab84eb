import { isIPv4 } from 'node:net'
import type { FastifyRequest } from 'fastify'

/**
 * Why this request may not have what the developer alone should see; null: it may. Only this machine may ask, under a
 * name that is its own: a name of somebody else's that resolves to this machine (DNS rebinding) brings somebody
 * else's page with it. `hosts` are further names, which may be asked for from other machines, too.
 */
export function refusal (request: FastifyRequest, hosts: readonly string[]): string | null {
  const { headers, socket } = request.raw
  // Not request.host and request.ip: they believe proxies.
  const authority = String(headers.host ?? headers[':authority'] ?? '').toLowerCase()
  const name = hostname(authority)
  if (!isOwnPage(headers, authority)) return 'pages of other origins may not read it'
  if (hosts.includes(name)) return null
  if (!isLocalName(name)) return `'${name}' is no name of this machine: name it in the option 'hosts' if it is yours`
  const isDirect = headers['x-forwarded-for'] === undefined && headers.forwarded === undefined
  if (!isDirect || !isLoopback(socket.remoteAddress ?? '')) return `only this machine may ask: name '${name}' in the option 'hosts' to let others do so, too`
  return null
}

/** In lower case, without the port and the brackets of IPv6. */
function hostname (authority: string): string {
  const url = URL.canParse(`http://${authority}`) ? new URL(`http://${authority}`) : null
  return url === null ? '' : url.hostname.replace(/^\[|\]$/g, '')
}

function isLocalName (name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || isLoopback(name)
}

function isLoopback (address: string): boolean {
  const ipv4 = address.replace(/^::ffff:/i, '')
  return address === '::1' || (isIPv4(ipv4) && ipv4.startsWith('127.'))
}

/** Browsers send an Origin with what crosses origins; whether they send Sec-Fetch-Site, too, depends on the scheme. */
function isOwnPage (headers: FastifyRequest['raw']['headers'], authority: string): boolean {
  const { origin } = headers
  const site = headers['sec-fetch-site'] ?? 'same-origin'
  if (site !== 'same-origin' && site !== 'none') return false
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === authority)
}
