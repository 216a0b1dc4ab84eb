import type { AssetNode } from '../ast.js'
import { type TemplateProblemCode, TemplateError } from '../errors.js'
import { escapeText } from '../escape.js'
import type { HtmlContext } from '../html/context.js'
import { isPlainUrl } from '../safe-url.js'
import { type Code, type Frame, failAt } from './frame.js'
import { messageOf } from './reading.js'
import type { Unit } from './unit.js'

/** What the code of the assets may have found to be wrong. */
const KINDS: readonly TemplateProblemCode[] = ['missing_attrs', 'non_image_src', 'unresolved_asset', 'unresolved_image_meta']
const KIND_OF_CODE: Readonly<Record<string, TemplateProblemCode>> = {
  FST_ISR_ERR_SITE_ASSET_UNKNOWN: 'unresolved_asset',
  FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES: 'missing_attrs',
  FST_ISR_ERR_SITE_IMAGE_SIZE: 'unresolved_image_meta',
  FST_ISR_ERR_SITE_IMAGE_SRC: 'non_image_src'
}

/** The problem that an error of the assets is. */
export function kindOf (error: unknown, otherwise: TemplateProblemCode): TemplateProblemCode {
  if (typeof error !== 'object' || error === null) return otherwise
  const { kind, code } = error as { kind?: unknown, code?: unknown }
  const named = error instanceof TemplateError ? error.problem.code : kind ?? code
  return KINDS.find(known => known === named) ?? KIND_OF_CODE[String(code)] ?? otherwise
}

/** The URL of `{{+ /static/x}}`, unescaped. */
export function assetReader (unit: Unit, { path, span }: AssetNode): (frame: Frame) => string {
  const { source } = unit
  unit.isDynamic = true
  unit.dependencies.add(`asset:${path}`)
  return frame => {
    try {
      return frame.run.context.asset(path)
    } catch (cause) {
      return failAt(frame, source, kindOf(cause, 'unresolved_asset'), `the asset ${path}: ${messageOf(cause)}`, span, { cause })
    }
  }
}

export function compileAsset (unit: Unit, node: AssetNode, html: HtmlContext): Code {
  const { source } = unit
  const read = assetReader(unit, node)
  const kind = unit.ask(node.span, () => html.placeAsset(node.path))
  if (kind === 'text') return frame => escapeText(read(frame))
  return frame => {
    const url = read(frame)
    if (isPlainUrl(url)) return url
    return failAt(frame, source, 'unsafe_context', `the URL ${JSON.stringify(url)} needs escaping, which there is none for in this place`, node.span)
  }
}
