/** Stands where a URL was refused: it leads nowhere, and says why to whoever looks. */
export const BLOCKED = 'about:invalid#blocked'

const SCHEMES = new Set(['http', 'https', 'mailto', 'tel', 'sms', 'ftp'])

export function isSafeScheme (scheme: string): boolean {
  return SCHEMES.has(scheme.toLowerCase())
}

/** Browsers drop tabs and line ends from URLs, and everything like them in front. */
function withoutBlanks (url: string): string {
  // eslint-disable-next-line no-control-regex
  return url.replace(/[\u0000-\u0020]+/g, '')
}

/** Neither `javascript:` nor another scheme that is not known to be harmless. */
export function isSafeUrl (url: string): boolean {
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(withoutBlanks(url))?.[1]
  return scheme === undefined || isSafeScheme(scheme)
}

/** A path of this site: for what is run, not only linked. */
export function isOwnPath (url: string): boolean {
  return !/^(?:[a-z][a-z\d+.-]*:|[/\\]{2})/i.test(withoutBlanks(url))
}

/** What is put into raw text or an attribute without quotes can't end it. */
export function isPlainUrl (url: string): boolean {
  return /^[\w\-./~%@:?&,+#!$*;=]+$/.test(url)
}
