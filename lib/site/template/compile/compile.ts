import type { Ast, Node, TextNode, ValueNode } from '../ast.js'
import type { TemplateProblem } from '../errors.js'
import { JSON_FILTER } from '../filters.js'
import { HtmlContext } from '../html/context.js'
import { isPartial } from '../names.js'
import type { SourceText } from '../source-text.js'
import { attributeReader, printValue, slotReader } from './arguments.js'
import { compileAsset } from './assets.js'
import { compileEach, compileIf } from './blocks.js'
import { type Code, concatenate, failAt } from './frame.js'
import { MARKUP_WRITERS, VALUE_WRITERS, argumentMarkup } from './output.js'
import { compileHole } from './hole.js'
import { compileImage } from './image.js'
import { compilePartial } from './partial.js'
import { messageOf, valueReader } from './reading.js'
import { type CompileNodes, type Compiled, type Library, Unit } from './unit.js'

/**
 * Makes closures of a template that was read, and strings of all that is known now.
 * @throws TemplateError
 */
export function compile (source: SourceText, ast: Ast & { warnings: TemplateProblem[] }, library: Library): Compiled {
  const unit = new Unit(source, library, [...ast.warnings])
  const html = new HtmlContext()
  const code = nodesOf(unit)(ast.nodes, html)
  if (isPartial(source.name) && html.open !== null && !html.isUnknown) {
    const end = source.text.trimEnd().length
    unit.fail('unclosed_html', `the partial ends in ${html.open}, where what follows it would be a part of that`, { start: Math.max(0, end - 1), end })
  }
  const { slots, attributes, isDynamic, depth, dependencies, partials } = unit
  return { name: source.name, source, code, slots, attributes, isDynamic, depth, end: html, dependencies, partials, warnings: withoutRepeats(unit.warnings) }
}

function withoutRepeats (warnings: TemplateProblem[]): TemplateProblem[] {
  return [...new Map(warnings.map(warning => [`${warning.file}:${warning.line}:${warning.column}:${warning.code}:${warning.message}`, warning])).values()]
}

function nodesOf (unit: Unit): CompileNodes {
  return (nodes, html) => {
    unit.depth = Math.max(unit.depth, ++unit.level)
    const codes = nodes.map(node => compileNode(unit, node, html))
    unit.level--
    return concatenate(codes)
  }
}

function compileNode (unit: Unit, node: Node, html: HtmlContext): Code {
  switch (node.type) {
    case 'text': return compileText(unit, node, html)
    case 'asset': return compileAsset(unit, node, html)
    case 'img': return compileImage(unit, node, html)
    case 'hole': return compileHole(unit, node, html)
    case 'value': return compileValue(unit, node, html)
    case 'slot': {
      const write = writerAt(unit, node, html)
      const read = slotReader(unit, node, html.isSpecial)
      return frame => write(read(frame))
    }
    case 'attribute': {
      const write = writerAt(unit, node, html)
      const read = attributeReader(unit, node, html.isSpecial)
      return frame => write(argumentMarkup(read(frame)))
    }
    case 'if': return compileIf(unit, node, html, nodesOf(unit))
    case 'each': return compileEach(unit, node, html, nodesOf(unit))
    case 'partial': return compilePartial(unit, node, html, nodesOf(unit))
  }
}

function compileText (unit: Unit, { text, span }: TextNode, html: HtmlContext): string {
  unit.ask(span, () => { html.feed(text) })
  return text
}

/** How slots and attributes are written in a place. */
function writerAt (unit: Unit, { span }: Pick<Node, 'span'>, html: HtmlContext): (html: string) => string {
  const kind = unit.ask(span, () => html.place())
  // Only asked for with a filter, which these have none of.
  if (kind === 'json') throw new Error('a slot was placed as JSON')
  return MARKUP_WRITERS[kind]
}

function compileValue (unit: Unit, node: ValueNode, html: HtmlContext): Code {
  const { source } = unit
  unit.isDynamic = true
  const isJson = node.filters.at(-1) === JSON_FILTER
  const kind = unit.ask(node.span, () => html.place(isJson))
  const read = valueReader(unit, node, kind === 'json' ? node.filters.slice(0, -1) : node.filters)
  const write = VALUE_WRITERS[kind]
  if (kind !== 'json') return frame => printValue(unit, node, frame, write, read(frame))
  return frame => {
    const value = read(frame)
    try {
      return write(value)
    } catch (cause) {
      return failAt(frame, source, 'filter_failed', `the filter "${JSON_FILTER}" failed: ${messageOf(cause)}`, node.span, { cause })
    }
  }
}
