export { atomXml, type AtomEntry, type AtomOptions } from './atom.js'
export { robotsTxt, type RobotsOptions } from './robots.js'
export { sitemaps, sitemapXml, type SitemapEntry } from './sitemap.js'
