import { authoredText, decodeText, escapeJson, escapeText, markupAsText } from '../escape.js'
import { toJson } from '../filters.js'
import type { ValueKind } from '../html/context.js'
import { SafeHtml } from '../safe-html.js'
import { BLOCKED, isOwnPath, isSafeUrl } from '../safe-url.js'
import { print, toMarkup } from '../values.js'
import type { Argument } from './frame.js'

function toText (value: unknown): string {
  return value instanceof SafeHtml ? markupAsText(value.html) : escapeText(print(value))
}

function urlWriter (isAllowed: (url: string) => boolean): (value: unknown) => string {
  return value => {
    const url = value instanceof SafeHtml ? decodeText(value.html) : print(value)
    return isAllowed(url) ? escapeText(url) : BLOCKED
  }
}

/** How a value of the data is written in each kind of place. They throw for what can't be written. */
export const VALUE_WRITERS: Readonly<Record<ValueKind, (value: unknown) => string>> = {
  markup: toMarkup,
  text: toText,
  url: urlWriter(isSafeUrl),
  ownPath: urlWriter(isOwnPath),
  json: value => escapeJson(toJson(value))
}

function asIs (html: string): string {
  return html
}

function markupUrlWriter (isAllowed: (url: string) => boolean): (html: string) => string {
  return html => {
    const text = authoredText(html)
    return isAllowed(decodeText(text)) ? text : BLOCKED
  }
}

/** The same for markup of a slot and text of an attribute, where values are escaped already. */
export const MARKUP_WRITERS: Readonly<Record<Exclude<ValueKind, 'json'>, (html: string) => string>> = {
  markup: asIs,
  text: markupAsText,
  url: markupUrlWriter(isSafeUrl),
  ownPath: markupUrlWriter(isOwnPath)
}

/** A value as an attribute of a partial: what code vouches for is kept. */
export function toArgument (value: unknown): Argument {
  return value instanceof SafeHtml ? value : escapeText(print(value))
}

export function argumentMarkup (argument: Argument): string {
  return typeof argument === 'string' ? argument : argument.html
}

/** Without entities, for code that escapes by itself. */
export function argumentText (argument: Argument): string {
  return decodeText(typeof argument === 'string' ? argument : argument.html)
}
