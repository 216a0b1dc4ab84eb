/** Names of templates are relative with '/', whatever the system that they were read on uses. */
export function toTemplateName (name: string): string {
  return name.replaceAll('\\', '/')
}

const PARTIALS = 'partials/'

export function isPartial (name: string): boolean {
  return name.startsWith(PARTIALS)
}

/** `item.html`, as it stands in a tag → `partials/item.html`. */
export function toPartialName (tag: string): string {
  return PARTIALS + toTemplateName(tag)
}
