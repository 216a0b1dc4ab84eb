import type { EachNode, IfNode } from '../ast.js'
import type { HtmlContext } from '../html/context.js'
import { isTruthy } from '../values.js'
import { type Code, type Frame, failAt, isConstant, run } from './frame.js'
import { describeUnknown, guardedReader, messageOf } from './reading.js'
import type { CompileNodes, Unit } from './unit.js'

export function compileIf (unit: Unit, { test, then, otherwise, span }: IfNode, html: HtmlContext, compileNodes: CompileNodes): Code {
  unit.isDynamic = true
  const other = html.copy()
  const whenTrue = compileNodes(then, html)
  const whenFalse = compileNodes(otherwise, other)
  if (!html.join(other)) {
    unit.fail('unbalanced_branch', otherwise.length > 0 ? 'the branches of this "if" end in different places of the HTML' : 'this "if" ends in another place of the HTML than it begins in', span)
  }
  const read = guardedReader(unit, test, span)
  return frame => run(isTruthy(read(frame)) ? whenTrue : whenFalse, frame)
}

/** A loop leads from its end to its begin: what is known there is what both have in common. */
function compileLoopBody (unit: Unit, { body, span }: EachNode, html: HtmlContext, compileNodes: CompileNodes): Code {
  for (let begin = html.copy(); ;) {
    const end = begin.copy()
    const code = compileNodes(body, end)
    const joined = begin.copy()
    if (!joined.join(end)) unit.fail('unbalanced_branch', 'the body of this "each" ends in another place of the HTML than it begins in', span)
    if (joined.isSameAs(begin)) {
      html.become(joined)
      return code
    }
    begin = joined
  }
}

export function compileEach (unit: Unit, node: EachNode, html: HtmlContext, compileNodes: CompileNodes): Code {
  const { source } = unit
  const { of, isOptional, as, span } = node
  unit.isDynamic = true
  const body = compileLoopBody(unit, node, html, compileNodes)
  const read = guardedReader(unit, of, span)
  const index = `${as}_index`
  return frame => {
    const list = readList(frame)
    if (list === null) return ''
    const data = Object.create(frame.data, { [as]: OWN, [index]: OWN }) as Record<string, unknown>
    const inner: Frame = { ...frame, data }
    let output = ''
    let count = 0
    for (const item of list) {
      if (isConstant(body)) {
        output += body
        continue
      }
      data[as] = item
      data[index] = count++
      output += body(inner)
    }
    return output
  }

  function readList (frame: Frame): readonly unknown[] | null {
    const value = read(frame)
    if (value === null || (value === undefined && isOptional)) return null
    if (value === undefined) failAt(frame, source, 'unknown_value', describeUnknown(frame, of), span)
    try {
      if (Array.isArray(value) && value[Symbol.iterator] === Array.prototype[Symbol.iterator]) return value
      if (typeof value === 'object' && Symbol.iterator in value) return [...value as Iterable<unknown>]
    } catch (cause) {
      failAt(frame, source, 'value_failed', `going through "${of.join('.')}" failed: ${messageOf(cause)}`, span, { cause })
    }
    return failAt(frame, source, 'not_iterable', `"${of.join('.')}" is a ${typeof value} that "each" can't go through: it needs an array, a Set, a Map or anything iterable`, span)
  }
}

/** A value of its own, even where the data is frozen or has a setter of that name. */
const OWN: PropertyDescriptor = { value: undefined, writable: true, enumerable: true }
