import type { Ast, Attribute, Node, PartialNode, SlotFill } from '../ast.js'
import { isBlank } from '../blank.js'
import type { TemplateProblem } from '../errors.js'
import { toPartialName } from '../names.js'
import type { SourceText, Span } from '../source-text.js'
import { readPath, readPlaceholders } from './placeholders.js'
import { similarName } from '../similar.js'
import { Reader } from './reader.js'
import { type Tag, readTag } from './tag.js'

/** Tags within tags: more is a mistake, and would exhaust the stack. */
const DEEPEST = 200

const SLOT_OPEN = /<slot:([a-z_]+)>/y
const SLOT_CLOSE = /<\/slot:([a-z_]+)>/y
const RAW_CLOSE = /<%\s*\/\s*raw\s*%>/g
const BUILT_IN = 'if, else, each, raw, img and hole'
const BUILT_INS = ['if', 'else', 'each', 'raw', 'img', 'hole']

/** What a body ends with: a tag, a slot or, null, the file. */
type Stop = { type: 'tag' | 'slot', name: string, span: Span } | null

interface Body {
  nodes: Node[]
  slots: Map<string, SlotFill>
  /** It ended at an `else`. */
  isElse: boolean
}

/**
 * Reads a template.
 * @throws TemplateError
 */
export function parse (source: SourceText): Ast & { warnings: TemplateProblem[] } {
  const parser = new Parser(source)
  const nodes = parser.parse()
  return { nodes, partials: parser.partials, warnings: parser.reader.warnings }
}

class Parser {
  readonly reader: Reader
  readonly partials = new Set<string>()
  #depth = 0
  /** What each of the bodies that are being read ends with. */
  readonly #open: Stop[] = []
  /** Name → the last tag that closed itself. */
  readonly #selfClosed = new Map<string, Span>()

  constructor (source: SourceText) {
    this.reader = new Reader(source)
  }

  parse (): Node[] {
    return this.#body(null, false).nodes
  }

  /** Up to its stop, and past it. Slots are filled right in the tag of a partial alone. */
  #body (stop: Stop, isPartial: boolean): Body {
    const reader: Reader = this.reader
    const { text } = reader
    const body: Body = { nodes: [], slots: new Map(), isElse: false }
    if (++this.#depth > DEEPEST && stop !== null) reader.fail('too_deep', `more than ${DEEPEST} tags within each other`, stop.span.start, stop.span.end)
    this.#open.push(stop)
    let plain = reader.position
    const flush = (to: number): void => {
      if (to > plain) body.nodes.push(...readPlaceholders(reader, plain, to))
    }
    for (let at = text.indexOf('<', plain); at >= 0; at = text.indexOf('<', at)) {
      reader.position = at
      if (text[at + 1] === '%') {
        flush(at)
        if (this.#tag(body, stop)) return this.#leave(body)
      } else {
        const [slotOpen, opened = ''] = reader.match(SLOT_OPEN) ?? []
        const [slotClose, closed] = reader.match(SLOT_CLOSE) ?? []
        if (slotClose !== undefined && stop?.type === 'slot' && stop.name === closed) {
          flush(at)
          reader.position += slotClose.length
          return this.#leave(body)
        }
        if (slotOpen === undefined || !isPartial) {
          if (slotOpen !== undefined) reader.warn('stray_slot', `${slotOpen} stands right in no partial's tag and is text`, { start: at, end: at + slotOpen.length })
          at++
          continue
        }
        flush(at)
        this.#slot(body.slots, opened, { start: at, end: at + slotOpen.length })
      }
      plain = at = reader.position
    }
    flush(text.length)
    reader.position = text.length
    if (stop !== null) {
      reader.fail('unclosed_tag', stop.type === 'slot' ? `<slot:${stop.name}> is never closed` : `"${stop.name}" is never closed: ${missingEnd(stop.name)}`, stop.span.start, stop.span.end)
    }
    return this.#leave(body)
  }

  #leave (body: Body): Body {
    this.#depth--
    this.#open.pop()
    return body
  }

  /** What begins with `<%`. True: it ends the body. */
  #tag (body: Body, stop: Stop): boolean {
    const reader: Reader = this.reader
    const { position: start, text } = reader
    if (text[start + 2] === '%' && text[start + 3] !== '>') {
      reader.position += 3
      body.nodes.push({ type: 'text', text: '<%', span: { start, end: start + 3 } })
      return false
    }
    if (text[start + 2] === '#') {
      // The long form may hold tags.
      const close = text.startsWith('--', start + 3) ? '--%>' : '%>'
      const end = text.indexOf(close, start + 3)
      if (end < 0) reader.fail('malformed_tag', `a comment without an end: ${close} is missing`, start, start + 3)
      reader.position = end + close.length
      return false
    }
    const tag = readTag(reader)
    if (tag.kind === 'close') {
      if (stop?.type === 'tag' && stop.name === tag.name) return true
      return this.#failAtClose(tag, stop)
    }
    if (tag.name === 'else') {
      if (stop?.type !== 'tag' || stop.name !== 'if') reader.fail('malformed_tag', '"else" outside of "if"', start, tag.end)
      body.isElse = true
      return true
    }
    body.nodes.push(this.#element(tag))
    return false
  }

  /** A closing tag of something else than what is open: the mistake is probably above. */
  #failAtClose ({ name, start, end }: Tag, stop: Stop): never {
    const reader: Reader = this.reader
    const fail = (why: string, related?: Span, relation = ''): never =>
      reader.fail('malformed_tag', `unexpected closing tag: ${name}${why}`, start, end, related === undefined ? undefined : reader.related('malformed_tag', relation, related))
    if (stop === null) {
      const closed = this.#selfClosed.get(name)
      return closed === undefined ? fail('') : fail(`: "${name}" has closed itself, by the slash of %/>`, closed, 'it stands here')
    }
    const isAround = this.#open.some(other => other?.type === 'tag' && other.name === name)
    if (stop.type === 'slot' || isAround) {
      const what = stop.type === 'slot' ? `<slot:${stop.name}> is not closed` : `"${stop.name}" is not closed before <%/ ${name} %>: ${missingEnd(stop.name)}`
      reader.fail('unclosed_tag', what, stop.span.start, stop.span.end, reader.related('unclosed_tag', 'this closes something else', { start, end }))
    }
    return fail(similarName(name, [stop.name]) === null ? '' : `; one of "${stop.name}" and "${name}" is probably misspelt`, stop.span, `"${stop.name}" is open`)
  }

  #slot (slots: Map<string, SlotFill>, name: string, span: Span): void {
    const reader: Reader = this.reader
    const first = slots.get(name)
    if (first !== undefined) {
      reader.fail('duplicate_slot', `the slot "${name}" is filled twice`, span.start, span.end, reader.related('duplicate_slot', 'first filled here', first.span))
    }
    reader.position = span.end
    slots.set(name, { name, nodes: this.#body({ type: 'slot', name, span }, false).nodes, span })
  }

  #element (tag: Tag): Node {
    const reader: Reader = this.reader
    const span = { start: tag.start, end: tag.end }
    const fail = (message: string): never => reader.fail('malformed_tag', message, tag.start, tag.end)
    switch (tag.name) {
      case 'asset': return fail('the asset tag is no longer supported: write {{+ /static/path}}')
      case 'img':
      case 'hole':
        if (tag.kind !== 'self') return fail(`the ${tag.name} tag must be self-closing: <% ${tag.name} … %/>`)
        if (tag.name === 'img') return { type: 'img', attributes: tag.attributes, span }
        return { type: 'hole', name: this.#literal(tag, 'name'), span }
      case 'raw':
      case 'if':
      case 'each':
        if (tag.kind === 'self') return fail(`the ${tag.name} tag has a body: <% ${tag.name} … %> … <%/ ${tag.name} %>`)
        return tag.name === 'raw' ? this.#raw(tag) : tag.name === 'if' ? this.#if(tag, span) : this.#each(tag, span)
    }
    if (tag.name.includes('{{')) return fail(`the name of a partial must not come from a value: what it depends on would be unknown; use "if" around ${tag.name}`)
    if (!tag.name.includes('.')) {
      const similar = similarName(tag.name, BUILT_INS)
      return reader.fail('unknown_tag', `"${tag.name}" is neither a built-in tag (${BUILT_IN}) nor a partial, whose name has a dot (item.html)${similar === null ? '' : `; did you mean "${similar}"?`}`, tag.start, tag.end)
    }
    return this.#partial(tag, span)
  }

  #raw ({ start, end }: Tag): Node {
    const reader: Reader = this.reader
    RAW_CLOSE.lastIndex = end
    const close = RAW_CLOSE.exec(reader.text)
    if (close === null) reader.fail('unclosed_tag', '"raw" is never closed: <%/ raw %> is missing', start, end)
    reader.position = close.index + close[0].length
    const span = { start: end, end: close.index }
    return { type: 'text', text: reader.source.slice(span), span }
  }

  #if (tag: Tag, span: Span): Node {
    const stop: Stop = { type: 'tag', name: 'if', span }
    const { path } = this.#path(tag, 'test')
    const then = this.#body(stop, false)
    const otherwise = then.isElse ? this.#body(stop, false) : null
    if (otherwise?.isElse === true) this.reader.fail('malformed_tag', 'a second "else" in one "if"', span.start, span.end)
    return { type: 'if', test: path, then: then.nodes, otherwise: otherwise?.nodes ?? [], span }
  }

  #each (tag: Tag, span: Span): Node {
    const { path, isOptional } = this.#path(tag, 'of')
    const as = tag.attributes.has('as') ? this.#literal(tag, 'as') : 'it'
    if (!/^[A-Za-z_]\w*$/.test(as) || as === '__proto__') this.reader.fail('malformed_value', `"${as}" can't be the name of a value`, tag.start, tag.end)
    return { type: 'each', of: path, isOptional, as, body: this.#body({ type: 'tag', name: 'each', span }, false).nodes, span }
  }

  #partial (tag: Tag, span: Span): PartialNode {
    this.partials.add(toPartialName(tag.name))
    const node: PartialNode = { type: 'partial', name: tag.name, attributes: tag.attributes, slots: new Map(), loose: [], span }
    if (tag.kind === 'self') {
      this.#selfClosed.set(tag.name, span)
      return node
    }
    const { nodes, slots } = this.#body({ type: 'tag', name: tag.name, span }, true)
    node.slots = slots
    if (!nodes.every(isBlank)) node.loose = nodes
    return node
  }

  /** An attribute of a built-in tag that has to be known when the template is compiled. */
  #literal (tag: Tag, name: string): string {
    const reader: Reader = this.reader
    const attribute = this.#required(tag, name)
    const [text, ...rest] = attribute.value
    if (text?.type !== 'text' || rest.length > 0) reader.fail('malformed_value', `"${name}" of "${tag.name}" must be a plain word`, attribute.span.start, attribute.span.end)
    return text.text.trim()
  }

  #path (tag: Tag, name: string): { path: string[], isOptional: boolean } {
    const text = this.#literal(tag, name)
    const { span } = this.#required(tag, name)
    return readPath(this.reader, text, span.start, span.end)
  }

  #required (tag: Tag, name: string): Attribute {
    const attribute = tag.attributes.get(name)
    return attribute ?? this.reader.fail('missing_attrs', `"${tag.name}" needs ${name}="…"`, tag.start, tag.end)
  }
}

/** A partial may have been meant to have no body. */
function missingEnd (name: string): string {
  return `<%/ ${name} %> is missing${name.includes('.') ? ', or the slash of %/> at its end' : ''}`
}
