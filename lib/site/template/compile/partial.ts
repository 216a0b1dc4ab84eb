import type { PartialNode, SlotFill } from '../ast.js'
import { isBlank } from '../blank.js'
import { type TemplateProblem, problemAt } from '../errors.js'
import { HtmlContext } from '../html/context.js'
import { toPartialName } from '../names.js'
import { compileArgument } from './arguments.js'
import { type Argument, type Code, type Frame, MOST_OUTPUT, countTurn, failAt, isConstant, run } from './frame.js'
import { type CompileNodes, type Compiled, DEEPEST, type Expected, type Unit } from './unit.js'

/** The use of a partial: what it needs is there, and nothing that would be lost. */
export function compilePartial (unit: Unit, node: PartialNode, html: HtmlContext, compileNodes: CompileNodes): Code {
  const partial = findPartial(unit, node)
  if (!html.isMarkup) unit.fail('unsafe_context', `the partial "${node.name}" may not stand in ${html.isUnknown ? 'or behind ' : ''}${html.open ?? 'this place'}`, node.span)
  if (html.isSpecial && !partial.end.isNeutral) unit.fail('unsafe_context', `the partial "${node.name}" has tags that are read otherwise in <svg>, <math> and <select>`, node.span)
  html.follow(partial.end)
  const fills = slotFills(unit, node, partial)
  const attributes = compileAttributes(unit, node, partial)
  const slots = compileSlots(unit, partial, fills, html, compileNodes)
  const check = checkSlots(unit, node, partial, fills)
  if ([...partial.slots.keys()].some(name => !fills.has(name)) || partial.isDynamic) unit.isDynamic = true
  const { code, name } = partial
  const call = (frame: Frame, ownSlots: Frame['slots'], ownAttributes: Frame['attributes']): string => {
    const output = run(code, { run: frame.run, data: frame.data, slots: ownSlots, attributes: ownAttributes, name, user: frame })
    countTurn(frame, output, unit.source, node.span)
    return output
  }
  if (check === null && isConstant(code)) {
    if (code.length > MOST_OUTPUT) unit.fail('too_large', `with "${node.name}" there are more than ${MOST_OUTPUT} characters`, node.span)
    return code
  }
  const fillSlots = filler(slots)
  const fillAttributes = filler(attributes)
  if (check === null && !partial.isDynamic && slots.every(isKnown) && attributes.every(isKnown)) return call(noFrame(), slots, attributes)
  return frame => {
    check?.(frame)
    return call(frame, fillSlots(frame), fillAttributes(frame))
  }
}

/** For what depends on no frame. */
function noFrame (): Frame {
  return { run: { context: { asset: String, image: String }, frontMatter: {}, assets: null, turns: 0 }, data: {}, slots: [], attributes: [], name: '', user: null }
}

function isKnown<T extends Argument> (code: Code<T> | undefined): code is T {
  return code !== undefined && isConstant(code)
}

/** Makes the slots or attributes of a frame: a copy only where some are not known yet. */
function filler<T extends Argument> (codes: Array<Code<T> | undefined>): (frame: Frame) => Array<T | undefined> {
  const known = codes.map(code => isKnown(code) ? code : undefined)
  const dynamic = codes.flatMap((code, index) => typeof code === 'function' ? [{ index, code }] : [])
  if (dynamic.length === 0) return () => known
  return frame => {
    const filled = known.slice()
    for (const { index, code } of dynamic) filled[index] = code(frame)
    return filled
  }
}

function findPartial (unit: Unit, { name, span }: PartialNode): Compiled {
  const full = toPartialName(name)
  const partial = unit.library.partial(full, span, unit.level)
  if (partial === null) {
    const similar = unit.library.similar(full)
    unit.fail('ref_not_found', `there is no partial "${name}" (${full})${similar === null ? '' : `; did you mean "${similar}"?`}`, span)
  }
  unit.depth = Math.max(unit.depth, unit.level + partial.depth)
  if (unit.depth > DEEPEST) unit.fail('too_deep', `with the tags of "${name}" there are more than ${DEEPEST} tags within each other`, span)
  unit.partials.set(full, partial)
  unit.dependencies.add(full)
  for (const dependency of partial.dependencies) unit.dependencies.add(dependency)
  unit.warnings.push(...partial.warnings)
  return partial
}

/** Content outside of `<slot:…>` is the default slot, if there is one. */
function slotFills (unit: Unit, { name, slots, loose, span }: PartialNode, partial: Compiled): ReadonlyMap<string, SlotFill> {
  if (loose.length === 0) return slots
  if (partial.slots.has('default') && !slots.has('default')) return new Map(slots).set('default', { name: 'default', nodes: loose, span })
  const first = loose.find(node => !isBlank(node))
  const names = [...partial.slots.keys()].join(', ')
  const reason = slots.has('default') ? 'the slot "default" is filled already' : names === '' ? `${name} has no slots` : `the slots of ${name} are ${names}`
  return unit.fail('stray_content', `this stands outside of <slot:…> and would be lost: ${reason}`, first?.span ?? span)
}

function placeholderOf (unit: Unit, { source }: Compiled, code: 'missing_slots' | 'missing_attrs' | 'unsafe_context', { span }: Expected): TemplateProblem {
  return problemAt(source, code, code === 'unsafe_context' ? 'it stands here' : 'it is needed here', span)
}

function compileAttributes (unit: Unit, { name, attributes, span }: PartialNode, partial: Compiled): Array<Code<Argument> | undefined> {
  const missing = [...partial.attributes].filter(([key, { isOptional }]) => !isOptional && !attributes.has(key)).sort()
  if (missing[0] !== undefined) {
    unit.fail('missing_attrs', `${name} needs the ${missing.length > 1 ? 'attributes' : 'attribute'} ${missing.map(([key]) => key).join(', ')}`, span,
      placeholderOf(unit, partial, 'missing_attrs', missing[0][1]))
  }
  const codes = new Array<Code<Argument> | undefined>(partial.attributes.size).fill(undefined)
  for (const [key, attribute] of attributes) {
    const expected = partial.attributes.get(key)
    if (expected === undefined) unit.warn('unused_attr', `${name} makes no use of the attribute "${key}"`, attribute.span)
    else codes[expected.index] = compileArgument(unit, attribute)
  }
  return codes
}

function compileSlots (unit: Unit, partial: Compiled, fills: ReadonlyMap<string, SlotFill>, html: HtmlContext, compileNodes: CompileNodes): Array<Code | undefined> {
  const codes = new Array<Code | undefined>(partial.slots.size).fill(undefined)
  for (const [name, { nodes, span }] of fills) {
    const expected = partial.slots.get(name)
    const isSpecial = html.isSpecial || expected?.isSpecial === true
    const inner = new HtmlContext(isSpecial)
    const code = compileNodes(nodes, inner)
    if (expected === undefined) continue
    if (inner.open !== null) unit.fail('unclosed_html', `the slot "${name}" ends in ${inner.open}, where what follows it would be a part of that`, span)
    if (isSpecial && !inner.isNeutral) unit.fail('unsafe_context', `the slot "${name}" has tags that are read otherwise in <svg>, <math> and <select>`, span, placeholderOf(unit, partial, 'unsafe_context', expected))
    html.follow(inner)
    codes[expected.index] = code
  }
  return codes
}

/** What is missing may still be in the front matter; what is too much is only told if nothing is missing. */
function checkSlots (unit: Unit, { name, span }: PartialNode, partial: Compiled, fills: ReadonlyMap<string, SlotFill>): ((frame: Frame) => void) | null {
  const { source } = unit
  const missing = [...partial.slots].filter(([slot, { isOptional }]) => !isOptional && !fills.has(slot)).sort()
  const unexpected = [...fills.values()].filter(fill => !partial.slots.has(fill.name))
  const expected = [...partial.slots.keys()].sort().join(', ')
  const tooMuch = `${name} has no slot ${unexpected.map(fill => `"${fill.name}"`).join(', ')}${expected === '' ? '; it has none' : `; it has ${expected}`}`
  const [surplus] = unexpected
  if (missing.length === 0) return surplus === undefined ? null : unit.fail('unexpected_slots', tooMuch, surplus.span)
  return frame => {
    const { frontMatter } = frame.run
    const empty = missing.filter(([slot]) => !Object.hasOwn(frontMatter, slot) || frontMatter[slot] === undefined)
    if (empty[0] !== undefined) {
      const names = empty.map(([slot]) => slot).join(', ')
      failAt(frame, source, 'missing_slots', `${name} needs the ${empty.length > 1 ? 'slots' : 'slot'} ${names}: neither filled here nor in the front matter`, span,
        { related: placeholderOf(unit, partial, 'missing_slots', empty[0][1]) })
    }
    if (surplus !== undefined) failAt(frame, source, 'unexpected_slots', tooMuch, surplus.span)
  }
}
