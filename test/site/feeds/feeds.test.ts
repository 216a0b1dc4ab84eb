import fc from 'fast-check'
import t from 'tap'
import { atomXml, robotsTxt, sitemaps, sitemapXml, type AtomEntry } from '../../../lib/site/feeds/index.js'
import { holds } from '../../helpers/property.js'
import { all, only, parseXml } from '../helpers/xml.js'

const baseUrl = 'https://example.com/ignored?x'
const code = 'FST_ISR_ERR_SITE_FEED'
const HOSTILE = 'a<b>&"\'\u0000\u000b\ud800\ufffe]]>é'

t.test('a sitemap names all pages but those that must not be found', async (t) => {
  const xml = sitemapXml([
    { url: '/' },
    { url: '/caf%C3%A9', lastmod: new Date('2026-02-25T10:00:00Z') },
    { url: '/a&b', lastmod: null },
    { url: '/secret', noindex: true },
    { url: '/', lastmod: new Date(NaN) }
  ], baseUrl)
  const root = parseXml(xml)
  t.equal(root.name, 'urlset')
  t.equal(root.attributes['xmlns'], 'http://www.sitemaps.org/schemas/sitemap/0.9')
  t.same(all(root, 'url').map(url => [only(url, 'loc').text, all(url, 'lastmod')[0]?.text]), [
    ['https://example.com/', undefined],
    ['https://example.com/caf%C3%A9', '2026-02-25T10:00:00.000Z'],
    ['https://example.com/a&b', undefined]
  ])
  t.match(xml, '/a&#38;b')
  t.same(parseXml(sitemapXml([], baseUrl)).children, [], 'no pages are a sitemap, too')
})

t.test('more pages than a sitemap may hold are parts with an index', async (t) => {
  const pages = Array.from({ length: 50_001 }, (_, nth) => ({ url: `/${nth}` }))
  t.same([...sitemaps(pages.slice(1), baseUrl).keys()], ['/sitemap.xml'])
  const files = sitemaps(pages, baseUrl)
  t.same([...files.keys()], ['/sitemap.xml', '/sitemap-part-1.xml', '/sitemap-part-2.xml'])
  const index = parseXml(files.get('/sitemap.xml') ?? '')
  t.equal(index.name, 'sitemapindex')
  t.same(all(index, 'sitemap').map(part => only(part, 'loc').text), ['https://example.com/sitemap-part-1.xml', 'https://example.com/sitemap-part-2.xml'])
  t.equal((files.get('/sitemap-part-1.xml') ?? '').split('<loc>').length, 50_001)
  t.equal((files.get('/sitemap-part-2.xml') ?? '').split('<loc>').length, 2)
})

t.test('robots.txt allows everything but what is named, and says where the sitemap is', async (t) => {
  t.equal(robotsTxt({ baseUrl }), 'User-agent: *\nAllow: /\n\nSitemap: https://example.com/sitemap.xml\n')
  t.equal(robotsTxt({ baseUrl, sitemap: null, disallow: ['/search', '/x?y='] }), 'User-agent: *\nDisallow: /search\nDisallow: /x?y=\n')
  for (const disallow of ['search', '/a\nAllow: /', '/a b', '/a#b']) t.throws(() => robotsTxt({ baseUrl, disallow: [disallow] }), { code }, JSON.stringify(disallow))
})

const posts: AtomEntry[] = [
  { url: '/blog/old', title: 'Old', date: new Date('2026-01-01Z'), updated: new Date('2026-03-01T12:00:00Z'), tags: ['a', 'b&c'], summary: 'short', content: '<p>A &amp; B</p>', author: 'Ann' },
  { url: '/blog/new', title: HOSTILE, date: new Date('2026-02-25Z') },
  { url: '/blog/undated', title: 'Undated' },
  { url: '/blog/untitled', date: new Date('2025-12-31Z') }
]

t.test('a feed has all that RFC 4287 asks for', async (t) => {
  const feed = parseXml(atomXml(posts, { baseUrl, title: 'The <Blog>', subtitle: 'of ours', language: 'en', home: '/blog' }))
  t.equal(feed.name, 'feed')
  t.same(feed.attributes, { xmlns: 'http://www.w3.org/2005/Atom', 'xml:lang': 'en' })
  t.equal(only(feed, 'id').text, 'https://example.com/feed.xml')
  t.equal(only(feed, 'title').text, 'The <Blog>')
  t.equal(only(feed, 'subtitle').text, 'of ours')
  t.equal(only(feed, 'updated').text, '2026-03-01T12:00:00.000Z', 'that of the entry that was changed last')
  t.equal(only(only(feed, 'author'), 'name').text, 'The <Blog>')
  t.same(all(feed, 'link').map(link => link.attributes), [
    { rel: 'self', type: 'application/atom+xml', href: 'https://example.com/feed.xml' },
    { rel: 'alternate', type: 'text/html', href: 'https://example.com/blog' }
  ])
  const entries = all(feed, 'entry')
  t.same(entries.map(entry => only(entry, 'id').text), ['https://example.com/blog/new', 'https://example.com/blog/old', 'https://example.com/blog/untitled'], 'newest first; without a date there is no entry')
  const [first, old, untitled] = entries as [typeof feed, typeof feed, typeof feed]
  t.equal(only(first, 'title').text, 'a<b>&"\'\ufffd]]>é', 'what XML has not is left out')
  t.equal(only(first, 'updated').text, '2026-02-25T00:00:00.000Z')
  t.equal(only(untitled, 'title').text, '/blog/untitled')
  t.equal(only(old, 'published').text, '2026-01-01T00:00:00.000Z')
  t.equal(only(only(old, 'author'), 'name').text, 'Ann')
  t.same(all(old, 'category').map(({ attributes }) => attributes['term']), ['a', 'b&c'])
  t.equal(only(old, 'summary').text, 'short')
  t.same([only(old, 'content').attributes['type'], only(old, 'content').text], ['html', '<p>A &amp; B</p>'])
  t.equal(only(old, 'link').attributes['href'], 'https://example.com/blog/old')
})

t.test('the same entries make the same feed, and no more of them than asked for', async (t) => {
  t.equal(atomXml(posts, { baseUrl, title: 'x' }), atomXml([...posts].reverse(), { baseUrl, title: 'x' }))
  t.equal(all(parseXml(atomXml(posts, { baseUrl, title: 'x', limit: 1 })), 'entry').length, 1)
  t.equal(only(parseXml(atomXml([], { baseUrl, title: 'x' })), 'updated').text, '1970-01-01T00:00:00.000Z', 'an empty one is valid')
})

t.test('text is composed, so that readers compare it as people do', async (t) => {
  t.match(atomXml([], { baseUrl, title: 'cafe\u0301' }), 'caf\u00e9')
})

t.test('addresses stay on the site', async (t) => {
  for (const url of ['//evil.example/', '/\\evil.example', '/\t/evil.example', 'https://evil.example/', 'blog']) {
    t.throws(() => sitemapXml([{ url }], baseUrl), { code }, JSON.stringify(url))
    t.throws(() => atomXml([{ url, date: new Date(0) }], { baseUrl, title: 'x' }), { code })
  }
  t.throws(() => sitemapXml([], 'example.com'), { code, message: /baseUrl/ })
  t.throws(() => sitemapXml([], 'ftp://example.com'), { code })
  t.throws(() => atomXml([], { baseUrl, title: ' ' }), { code, message: /title/ })
  t.throws(() => atomXml([], { baseUrl, title: 'x', limit: 0 }), { code, message: /limit/ })
})

t.test('any text is well-formed XML, and the same text', async (t) => {
  holds(t, fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('<', '&', '>', '"', ']]>', '\ud800', '\0', '\r', '\n', '\t', 'x') }), (one, other) => {
    const title = `.${one}${other}`
    const feed = parseXml(atomXml([{ url: '/a', date: new Date(0), tags: [title] }], { baseUrl, title }))
    // eslint-disable-next-line no-control-regex
    const expected = title.replace(/\p{Cs}/gu, '\ufffd').normalize('NFC').replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    return only(feed, 'title').text === expected && only(only(feed, 'entry'), 'category').attributes['term'] === expected
  }), { numRuns: 300 })
})
