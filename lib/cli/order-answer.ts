import type { Inspection, OrderResult, RefreshedPage, TargetItem } from '../../types/index.js'
import type { Action } from '../ops/endpoint.js'
import { CliError } from './cli-error.js'

/** As the endpoint answers. */
export interface OrderAnswer {
  revalidate?: OrderResult
  purge?: OrderResult
  refresh?: { pages: Omit<RefreshedPage, 'error'>[] }
  inspect?: Inspection[]
}

/** Whoever carries orders out: a running app or the files. */
export interface OrderTaker {
  give (action: Action, targets: readonly TargetItem[]): Promise<OrderAnswer>
}

/** The order was understood and not carried out: no matter of usage. */
export class Refused extends CliError {}

/** The answers of two batches as one. */
export function merge (a: OrderAnswer, b: OrderAnswer): OrderAnswer {
  return {
    ...mergeOrders('revalidate', a, b),
    ...mergeOrders('purge', a, b),
    ...(a.refresh ?? b.refresh) !== undefined && { refresh: { pages: [...a.refresh?.pages ?? [], ...b.refresh?.pages ?? []] } },
    ...(a.inspect ?? b.inspect) !== undefined && { inspect: [...a.inspect ?? [], ...b.inspect ?? []] }
  }
}

function mergeOrders (kind: 'revalidate' | 'purge', { [kind]: a }: OrderAnswer, { [kind]: b }: OrderAnswer): OrderAnswer {
  if (a === undefined || b === undefined) {
    const one = a ?? b
    return one === undefined ? {} : { [kind]: one }
  }
  return { [kind]: { epoch: a.epoch === null || b.epoch === null ? null : Math.max(a.epoch, b.epoch), matched: a.matched + b.matched, degraded: a.degraded || b.degraded } }
}
