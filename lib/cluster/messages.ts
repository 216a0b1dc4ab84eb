import type { Mark, Moment, RenderedAt } from './coordinator.js'

/** What instances tell each other. `i`: incarnation, `s`: who says it. */
export type Message =
  | { type: 'marks', incarnation: string, source: string, epoch: number, /** What the order is known by. */ id: string, /** Null: too many to be told; to be looked up. */ marks: Mark[] | null }
  | { type: 'refreshed', incarnation: string, source: string, buildId: string, key: string, version: RenderedAt }
  | { type: 'dropped', incarnation: string, source: string, buildId: string, key: string, version: Moment }
  | { type: 'ended', incarnation: string, source: string, buildId: string, key: string }

/** No order, and nothing rendered, is believed to be from later. */
export const MOST_EPOCH = 2 ** 36
/** Bytes. What is larger is looked up, or found out later. */
const MOST_BYTES = 4096

/** One mark as it is told: the epoch of an earlier incarnation, or 0 for that of the message. */
export type ToldMark = [kind: 'h' | 's', origin: string, tag: string, epoch: number, deadline: number]

/** The part of a message of marks that is known before Redis has counted it; `{epoch}` is put in front there. */
export function marksTail (incarnation: string, source: string, id: string, marks: readonly ToldMark[]): string {
  const tail = (m: readonly ToldMark[] | null): string => `${JSON.stringify({ i: incarnation, s: source, o: id, m }).slice(1)}`
  const whole = tail(marks)
  return Buffer.byteLength(whole) <= MOST_BYTES - 64 ? whole : tail(null)
}

/** Null when the key is too long to be told. */
export function pageMessage (message: Extract<Message, { key: string }>): string | null {
  const { type, incarnation, source, buildId, key } = message
  const more = type === 'refreshed'
    ? { r: [message.version.epoch, message.version.renderedAt] }
    : type === 'dropped' ? { d: message.version.epoch } : { x: 1 }
  const text = JSON.stringify({ v: 1, i: incarnation, s: source, b: buildId, k: key, ...more })
  return Buffer.byteLength(text) <= MOST_BYTES ? text : null
}

/** Null for anything that is no message of this version: others may publish there as well. */
export function parseMessage (text: string): Message | null {
  if (text.length > MOST_BYTES) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { v, i: incarnation, s: source, e: epoch, o: id, m, b: buildId, k: key, r, d } = value as Record<string, unknown>
  if (v !== 1 || typeof incarnation !== 'string' || typeof source !== 'string') return null
  if (isEpoch(epoch) && typeof id === 'string') {
    const marks = m === null ? null : readMarks(m, incarnation, epoch)
    return marks === undefined ? null : { type: 'marks', incarnation, source, epoch, id, marks }
  }
  if (typeof buildId !== 'string' || typeof key !== 'string') return null
  const about = { incarnation, source, buildId, key }
  if (Array.isArray(r) && isEpoch(r[0]) && isCount(r[1])) return { type: 'refreshed', ...about, version: { epoch: r[0], renderedAt: r[1], incarnation } }
  if (isEpoch(d)) return { type: 'dropped', ...about, version: { epoch: d, incarnation } }
  return { type: 'ended', ...about }
}

function readMarks (list: unknown, incarnation: string, epoch: number): Mark[] | undefined {
  if (!Array.isArray(list)) return undefined
  const marks: Mark[] = []
  for (const item of list as unknown[]) {
    const mark = Array.isArray(item) ? toMark(item, incarnation, epoch) : null
    if (mark === null) return undefined
    marks.push(mark)
  }
  return marks
}

function toMark ([kind, origin, tag, at, deadline]: unknown[], incarnation: string, epoch: number): Mark | null {
  if ((kind !== 'h' && kind !== 's') || typeof origin !== 'string' || typeof tag !== 'string' || !isEpoch(at) || typeof deadline !== 'number') return null
  return {
    kind: kind === 'h' ? 'hard' : 'soft',
    tag,
    epoch: origin === '' ? epoch : at,
    incarnation: origin === '' ? incarnation : origin,
    deadline: fromTold(deadline)
  }
}

export function toTold (deadline: number): number {
  return deadline === Infinity ? -1 : Math.floor(deadline)
}

export function fromTold (deadline: number): number {
  return deadline < 0 ? Infinity : deadline
}

function isEpoch (value: unknown): value is number {
  return isCount(value) && value < MOST_EPOCH
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
