import type { FastifyRequest } from 'fastify'
import type { Bypass } from '../../types/index.js'

/** Why a request goes to the live handler whatever is stored; `detail` of Cache-Status. */
export type BypassReason = 'authorization' | 'cookie' | 'header' | 'function'

/** The rule of one route: the global bypass or its own. `onError` hears of predicates that throw, which means bypass. */
export function makeBypass (rules: readonly (Bypass | null | undefined)[], onError: (error: Error) => void): (request: FastifyRequest) => BypassReason | null {
  const checks = rules.flatMap(rule => rule === null || rule === undefined ? [] : [makeCheck(rule, onError)])
  return (request) => {
    if (request.headers.authorization !== undefined) return 'authorization'
    for (const check of checks) {
      const reason = check(request)
      if (reason !== null) return reason
    }
    return null
  }
}

function makeCheck (rule: Bypass, onError: (error: Error) => void): (request: FastifyRequest) => BypassReason | null {
  if (typeof rule === 'function') {
    return (request) => {
      try {
        return rule(request) ? 'function' : null
      } catch (error) {
        onError(error as Error)
        return 'function'
      }
    }
  }
  const { cookies = [], headers = [] } = rule
  return (request) => {
    if (headers.some(name => request.headers[name] !== undefined)) return 'header'
    return cookies.length > 0 && hasCookie(request.headers.cookie, cookies) ? 'cookie' : null
  }
}

function hasCookie (header: string | undefined, names: readonly string[]): boolean {
  if (header === undefined) return false
  return header.split(';').some(pair => names.includes((pair.split('=', 1)[0] ?? '').trim()))
}
