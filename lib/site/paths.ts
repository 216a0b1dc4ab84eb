/**
 * The part of a request's URL that names a page, as it came: nothing is
 * decoded, so a path is looked up in the one spelling that pages have.
 */
export function rawPath (url: string): string {
  const mark = url.search(/[?#]/)
  return mark === -1 ? url : url.slice(0, mark)
}

/** With its question mark, or empty. */
export function queryOf (url: string): string {
  const mark = url.indexOf('?')
  return mark === -1 ? '' : url.slice(mark)
}
