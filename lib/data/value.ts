import { deserialize, serialize } from 'node:v8'
import type { Entry } from '../cache/entry.js'
import { UnstorableValue } from '../errors.js'

/** A datum as callers get it: decoded once, shared by all of them. */
export interface Datum {
  readonly value: unknown
}

/**
 * Structured-clone data: plain objects, arrays, Buffers, Dates, Maps, Sets.
 *
 * @throws FST_ISR_ERR_DATA_VALUE
 */
export function encodeValue (name: string, value: unknown): Buffer {
  try {
    return serialize(value)
  } catch (cause) {
    throw new UnstorableValue(name, (cause as Error).message, { cause })
  }
}

export function prepareDatum (entry: Entry): Datum {
  return { value: decodeValue(entry.bodies[0]?.bytes ?? Buffer.alloc(0)) }
}

/** Frozen outside production: whoever changes a shared value finds out while developing. */
export function decodeValue (bytes: Uint8Array): unknown {
  const value: unknown = deserialize(bytes)
  if (process.env.NODE_ENV !== 'production') freeze(value)
  return value
}

function freeze (value: unknown): void {
  // Typed arrays can't be frozen; of Maps and Sets only what is in them.
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return
  Object.freeze(value)
  const items: Iterable<unknown> = value instanceof Map ? [...value].flat() : value instanceof Set ? value : Object.values(value)
  for (const item of items) freeze(item)
}
