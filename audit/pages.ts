/** The paths that a sitemap lists; none without one. */
export async function sitemapPaths (origin: string): Promise<string[]> {
  const response = await fetch(`${origin}/sitemap.xml`)
  if (!response.ok) return []
  const text = await response.text()
  return Array.from(text.matchAll(/<loc>([^<]+)<\/loc>/g), ([, url = '']) => new URL(url.replaceAll('&amp;', '&')).pathname)
}

/** One of each kind: home, a post, a page of the docs. */
export function oneOfEach (paths: readonly string[]): string[] {
  const kinds = [/^\/$/, /^\/blog\/(?!tag|page)[^/]+$/, /^\/docs\/[^/]+$/]
  const found = kinds.flatMap(kind => paths.find(path => kind.test(path)) ?? [])
  return found.length === 0 ? ['/'] : found
}
