/** Attributes that hold a URL. */
const URLS = new Set([
  'action', 'background', 'cite', 'classid', 'codebase', 'data', 'formaction', 'href', 'icon', 'longdesc', 'manifest',
  'ping', 'poster', 'profile', 'src', 'usemap', 'xlink:href', 'xml:base'
])

export function isUrlAttribute (attribute: string): boolean {
  return URLS.has(attribute)
}

/** What is loaded there runs as a part of this page, or moves all its links. */
export function isResource (element: string, attribute: string): boolean {
  return (element === 'script' && /^(?:src|(?:xlink:)?href)$/.test(attribute)) ||
    (element === 'embed' && attribute === 'src') ||
    (element === 'object' && /^(?:data|codebase|classid)$/.test(attribute)) ||
    (element === 'base' && attribute === 'href')
}

/** SVG animations can set any attribute of what they are in: `href`, for example. */
export function isAnimated (element: string, attribute: string): boolean {
  return /^(?:animate|set|animatemotion|animatetransform)$/.test(element) && /^(?:to|from|by|values|attributename)$/.test(attribute)
}

/** Their text is text up to their end tag, whatever stands in it. */
export const RAW = new Set(['script', 'style', 'xmp', 'iframe', 'noembed', 'noframes', 'noscript', 'title', 'textarea'])
/** Of these, those in which entities are read. */
export const RCDATA = new Set(['title', 'textarea'])
/** What follows them is read in another way than anybody expects. */
export const ENDS_ALL = new Set(['plaintext', 'frameset'])
/** In them the browser reads by the rules of XML. */
export const FOREIGN = new Set(['svg', 'math'])
/** Within those: in them HTML begins again. */
export const INTEGRATION = new Set(['foreignobject', 'desc', 'title', 'mi', 'mo', 'mn', 'ms', 'mtext', 'annotation-xml'])
/** Tags that end an `<svg>` or `<math>` that they stand in. */
export const BREAKOUT = new Set([
  'b', 'big', 'blockquote', 'body', 'br', 'center', 'code', 'dd', 'div', 'dl', 'dt', 'em', 'embed', 'font', 'h1', 'h2', 'h3',
  'h4', 'h5', 'h6', 'head', 'hr', 'i', 'img', 'li', 'listing', 'menu', 'meta', 'nobr', 'ol', 'p', 'pre', 'ruby', 's',
  'small', 'span', 'strong', 'strike', 'sub', 'sup', 'table', 'tt', 'u', 'ul', 'var'
])
