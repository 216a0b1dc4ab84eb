import type { ValueNode } from '../ast.js'
import type { Span } from '../source-text.js'
import { fieldReader } from '../values.js'
import { type Frame, failAt } from './frame.js'
import type { Unit } from './unit.js'

/** The value at a path: of the data, else of the front matter. */
export function pathReader (path: readonly string[]): (frame: Frame) => unknown {
  const read = fieldReader(path)
  return ({ data, run }) => {
    const value = read(data)
    return value === undefined ? read(run.frontMatter) : value
  }
}

/** The same, and says where it was read if that fails. */
export function guardedReader ({ source }: Unit, path: readonly string[], span: Span): (frame: Frame) => unknown {
  const read = pathReader(path)
  return frame => {
    try {
      return read(frame)
    } catch (cause) {
      return failAt(frame, source, 'value_failed', `reading "${path.join('.')}" failed: ${messageOf(cause)}`, span, { cause })
    }
  }
}

/** The value of a `{{= path | filter }}`, before it is written. */
export function valueReader (unit: Unit, node: ValueNode, filterNames = node.filters): (frame: Frame) => unknown {
  const { source } = unit
  const { path, isOptional, span } = node
  const filters = filterNames.map(name => {
    const filter = Object.hasOwn(unit.library.filters, name) ? unit.library.filters[name] : undefined
    return { name, filter: filter ?? unit.fail('unknown_filter', `there is no filter "${name}": there are ${Object.keys(unit.library.filters).sort().join(', ')}`, span) }
  })
  const read = guardedReader(unit, path, span)
  return frame => {
    let value = read(frame)
    if (value === undefined && !isOptional) failAt(frame, source, 'unknown_value', describeUnknown(frame, path), span)
    for (const { name, filter } of filters) {
      try {
        value = filter(value)
      } catch (cause) {
        failAt(frame, source, 'filter_failed', `the filter "${name}" failed: ${messageOf(cause)}`, span, { cause })
      }
    }
    return value
  }
}

export function describeUnknown (frame: Frame, path: readonly string[]): string {
  const name = `"${path.join('.')}" is undefined`
  const fix = '; where there may be none, write a "?" behind it'
  for (let length = path.length - 1; length > 0; length--) {
    const outer = path.slice(0, length)
    const { value, keys } = lookAt(outer, frame)
    if (value === undefined) continue
    return `${name}: "${outer.join('.')}" ${keys.length > 0 ? `has ${keys.join(', ')}` : value === null ? 'is null' : `has no "${path[length]}"`}${fix}`
  }
  return `${name}: neither the data nor the front matter has "${path[0]}"${fix}`
}

/** For a message: getters and proxies that fail now, and did not when they were read, are no reason for none. */
function lookAt (path: readonly string[], frame: Frame): { value: unknown, keys: string[] } {
  try {
    const value = pathReader(path)(frame)
    return { value, keys: typeof value === 'object' && value !== null ? Object.keys(value).slice(0, 12) : [] }
  } catch {
    return { value: undefined, keys: [] }
  }
}

export function messageOf (error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
