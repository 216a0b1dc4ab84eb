import type { Span } from './source-text.js'

/** Markup of the template, as it is written. It may differ from the text of its span: `<%%` is `<%`. */
export interface TextNode { type: 'text', text: string, span: Span }
/** `{{+ /static/x}}` */
export interface AssetNode { type: 'asset', path: string, span: Span }
/** `{{name}}` in a partial. */
export interface SlotNode { type: 'slot', name: string, isOptional: boolean, span: Span }
/** `{{@name}}` in a partial. */
export interface AttributeNode { type: 'attribute', name: string, isOptional: boolean, span: Span }
/** `{{= path.to.it | filter }}` */
export interface ValueNode { type: 'value', path: string[], isOptional: boolean, filters: string[], span: Span }

export type Placeholder = AssetNode | SlotNode | AttributeNode | ValueNode

/** Of a tag. The value is text and placeholders. */
export interface Attribute { name: string, value: Array<TextNode | Placeholder>, span: Span }
export type Attributes = ReadonlyMap<string, Attribute>

export interface SlotFill { name: string, nodes: Node[], span: Span }

export interface PartialNode {
  type: 'partial'
  /** As it stands in the tag. */
  name: string
  attributes: Attributes
  slots: Map<string, SlotFill>
  /** What stands outside of the slots, all of it; empty if that is blanks and comments. */
  loose: Node[]
  span: Span
}
export interface IfNode { type: 'if', test: string[], then: Node[], otherwise: Node[], span: Span }
export interface EachNode { type: 'each', of: string[], isOptional: boolean, as: string, body: Node[], span: Span }
export interface ImageNode { type: 'img', attributes: Attributes, span: Span }
export interface HoleNode { type: 'hole', name: string, span: Span }

export type Node = TextNode | Placeholder | PartialNode | IfNode | EachNode | ImageNode | HoleNode

/** A template that was read. */
export interface Ast {
  nodes: Node[]
  /** Names of the partials that it uses, as in `partials/item.html`. */
  partials: ReadonlySet<string>
}
