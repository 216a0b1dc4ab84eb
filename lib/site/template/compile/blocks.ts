import type { EachNode, IfNode, Node } from '../ast.js'
import { type HtmlContext, UnsafePlace } from '../html/context.js'
import { isTruthy } from '../values.js'
import { TemplateError } from '../errors.js'
import { type Code, type Frame, MOST_TURNS, countTurn, failAt, isConstant, run } from './frame.js'
import { describeUnknown, guardedReader, messageOf } from './reading.js'
import type { CompileNodes, Unit } from './unit.js'

export function compileIf (unit: Unit, { test, then, otherwise, span }: IfNode, html: HtmlContext, compileNodes: CompileNodes): Code {
  unit.isDynamic = true
  const begin = html.copy()
  const other = html.copy()
  const whenTrue = compileNodes(then, html)
  const whenFalse = compileNodes(otherwise, other)
  if (!html.join(other)) {
    const what = otherwise.length > 0 ? 'the branches of this "if" end in different places of the HTML' : 'this "if" ends in another place of the HTML than it begins in'
    unit.fail('unbalanced_branch', what + missingBlank({ begin, html, other }, (nodes, at) => { compileNodes(nodes, at) }, { then, otherwise }), span)
  }
  const read = guardedReader(unit, test, span)
  return frame => run(isTruthy(read(frame)) ? whenTrue : whenFalse, frame)
}

interface Places { begin: HtmlContext, html: HtmlContext, other: HtmlContext }

/** Attributes in a branch often lack no more than a blank: where it would do, as words. */
function missingBlank ({ begin, html, other }: Places, go: (nodes: Node[], at: HtmlContext) => void, { then, otherwise }: Pick<IfNode, 'then' | 'otherwise'>): string {
  const spaced = (context: HtmlContext): HtmlContext => {
    const copy = context.copy()
    copy.feed(' ')
    return copy
  }
  const tries: Record<string, () => boolean> = {
    'at the end of the branch': () => spaced(html).join(other),
    'before the "if"': () => {
      const [one, two] = [spaced(begin), spaced(begin)]
      go(then, one)
      go(otherwise, two)
      return one.join(two)
    }
  }
  for (const [place, isEnough] of Object.entries(tries)) {
    try {
      if (isEnough()) return `; a blank ${place} would do`
    } catch (error) {
      // It would be another mistake.
      if (!(error instanceof TemplateError) && !(error instanceof UnsafePlace)) throw error
    }
  }
  return ''
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
      countTurn(frame, output, source, span)
      if (isConstant(body)) {
        output += body
        continue
      }
      data[as] = item
      data[index] = count++
      output += body(inner)
    }
    countTurn(frame, output, source, span)
    return output
  }

  function readList (frame: Frame): readonly unknown[] | null {
    const value = read(frame)
    if (value === null || (value === undefined && isOptional)) return null
    if (value === undefined) failAt(frame, source, 'unknown_value', describeUnknown(frame, of), span)
    try {
      if (Array.isArray(value) && value[Symbol.iterator] === Array.prototype[Symbol.iterator]) return value
      if (typeof value === 'object' && Symbol.iterator in value) return readAll(frame, value as Iterable<unknown>)
    } catch (cause) {
      if (cause instanceof TemplateError) throw cause
      failAt(frame, source, 'value_failed', `going through "${of.join('.')}" failed: ${messageOf(cause)}`, span, { cause })
    }
    return failAt(frame, source, 'not_iterable', `"${of.join('.')}" is a ${typeof value} that "each" can't go through: it needs an array, a Set, a Map or anything iterable`, span)
  }

  /** Not by spreading: it may have no end. */
  function readAll (frame: Frame, items: Iterable<unknown>): unknown[] {
    const list: unknown[] = []
    for (const item of items) {
      if (list.length === MOST_TURNS) failAt(frame, source, 'too_large', `"${of.join('.')}" has more than ${MOST_TURNS} items`, span)
      list.push(item)
    }
    return list
  }
}

/** A value of its own, even where the data is frozen or has a setter of that name. */
const OWN: PropertyDescriptor = { value: undefined, writable: true, enumerable: true }
