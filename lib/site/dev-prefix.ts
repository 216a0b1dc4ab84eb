/** Where the live reload has its client and its events. A page that says so was made in development, and is for nobody else. */
export const DEV_PREFIX = '/__dev/'

const IN_TAG = /<[a-z][^<>]*\/__dev\//i
const IN_SCRIPT = /<script\b[^>]*>(?:(?!<\/script\b)[^])*?\/__dev\//i

/** Whether a page refers to something of development. To write about it, in a text or in code that is shown, is no reference. */
export function refersToDev (html: string): boolean {
  return html.includes(DEV_PREFIX) && (IN_TAG.test(html) || IN_SCRIPT.test(html))
}
