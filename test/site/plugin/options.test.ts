import path from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../lib/options.js'
import { memorySource } from '../../../lib/site/source/source.js'
import { readSiteOptions, type SiteSettings } from '../../../lib/site/options.js'
import type { SiteOptions } from '../../../types/site.js'

const read = (options: object): SiteSettings => readSiteOptions(options as SiteOptions)
const posts = { dir: 'content/blog', url: (): string => '/blog/a' }

t.test('without options everything has its documented default', async (t) => {
  const settings = read({})
  t.match(settings, {
    root: path.join(packageRoot(), 'site'),
    source: null,
    prefix: '/',
    dev: null,
    baseUrl: null,
    static: { prefix: '/static/', dir: path.join(packageRoot(), 'dist/static') },
    checkEvery: 60_000,
    feed: null,
    redirects: {}
  })
  t.equal(settings.collections.size, 0)
  t.equal(settings.clock, Date.now)
})

t.test('options are taken as they are given', async (t) => {
  const source = memorySource({})
  const settings = read({ source, prefix: '/docs', baseUrl: 'https://example.com', static: { prefix: '/s', dir: '/srv/static' }, collections: { posts: { ...posts, dir: 'content/blog/' } }, check: { every: 0 }, feed: { collection: 'posts', title: 'News' } })
  t.match(settings, { root: null, source, prefix: '/docs/', static: { prefix: '/s/', dir: '/srv/static' }, checkEvery: null, feed: { collection: 'posts', title: 'News', path: '/feed.xml' } })
  t.equal(settings.collections.get('posts')?.dir, 'content/blog')
  t.equal(read({ root: new URL('file:///srv/site/') }).root, '/srv/site')
  t.equal(read({ static: false }).static, null)
  t.same([...read({ collections: { posts: { ...posts, source }, same: { ...posts, source } } }).mounts], [['content/blog', source]])
})

t.test('what is wrong is refused with the name of the option and what it must be', async (t) => {
  for (const [options, message] of [
    [{ rout: 'site' }, /option 'rout' must be one of root, source/],
    [{ root: 1 }, /option 'root' must be a path or a file URL, got 1/],
    [{ root: 'site', source: memorySource({}) }, /option 'root' must be left out when there is a 'source'/],
    [{ source: {} }, /option 'source' must be an object with list\(\)/],
    [{ prefix: 'docs' }, /option 'prefix' must be a path such as '\/docs\/'/],
    [{ dev: 'yes' }, /option 'dev' must be true, false or { poll, hosts }/],
    [{ dev: { pol: 1 } }, /option 'dev.pol' must be one of poll/],
    [{ dev: { hosts: ['http://dev.example'] } }, /option 'dev.hosts' must be an array of names/],
    [{ static: { undigested: ['/sw.js'] } }, /option 'static.undigested' must be an array of names/],
    [{ static: { targets: 'es2020' } }, /option 'static.targets' must be an array of esbuild's targets/],
    [{ static: { keep: -1 } }, /option 'static.keep' must be a number of seconds/],
    [{ images: { maxPixels: 0 } }, /option 'images.maxPixels' must be a whole number/],
    [{ baseUrl: 'example.com' }, /option 'baseUrl' must be an absolute http\(s\) URL/],
    [{ static: { prefix: '/' } }, /option 'static.prefix' must be/],
    [{ collections: { posts: { dir: '../blog', url: posts.url } } }, /option 'collections.posts.dir' must be a folder of the site/],
    [{ collections: { posts: { dir: '/blog', url: posts.url } } }, /option 'collections.posts.dir'/],
    [{ collections: { posts: { ...posts, source: {} } } }, /option 'collections.posts.source' must be an object with list\(\)/],
    [{ collections: { posts: { ...posts, source: memorySource({}) }, others: posts } }, /option 'collections.posts.dir' must be a folder of its own: 'collections.others'/],
    [{ collections: { posts: { ...posts, source: memorySource({}) }, others: { ...posts, dir: 'content' } } }, /option 'collections.posts.dir' must be a folder of its own/],
    [{ collections: { posts: { ...posts, source: memorySource({}) }, others: { ...posts, dir: 'content/blog/2026' } } }, /option 'collections.posts.dir' must be a folder of its own/],
    [{ markdown: { link: '/x' } }, /option 'markdown.link' must be a function/],
    [{ collections: { posts: { dir: 'content/../..', url: posts.url } } }, /option 'collections.posts.dir'/],
    [{ collections: { posts: { dir: 'content/blog' } } }, /option 'collections.posts.url' must be a function/],
    [{ collections: { posts: { ...posts, schema: { date: 'time' } } } }, /option 'collections.posts.schema.date' must be 'text' or 'date'/],
    [{ check: { every: '60' } }, /option 'check.every' must be a number of seconds/],
    [{ filters: { up: 'toUpperCase' } }, /option 'filters.up' must be a function/],
    [{ data: 'all' }, /option 'data' must be an object, or a function of the page that returns one/],
    [{ frontMatter: {} }, /option 'frontMatter.parse' must be a function/],
    [{ images: { widths: [0] } }, /option 'images.widths' must be an array of widths/],
    [{ images: { formats: ['png'] } }, /option 'images.formats' must be an array of 'webp' and 'avif'/],
    [{ css: { transform: 'sass' } }, /option 'css.transform' must be a function/],
    [{ redirects: { old: '/new' } }, /option 'redirects.old' must be named by a path/],
    [{ redirects: { '/old': '//evil.example' } }, /option 'redirects.\/old' must be a path or an absolute URL/],
    [{ redirects: { '/old': '/\\evil.example' } }, /option 'redirects.\/old' must be a path or an absolute URL/],
    [{ redirects: { '/old': 'https://' } }, /option 'redirects.\/old' must be a path or an absolute URL/],
    [{ feed: { collection: 'posts', title: 'News' } }, /there is no collection 'posts'; the option 'collections' declares none/],
    [{ collections: { posts }, feed: { collection: 'posts', title: 'News' } }, /option 'baseUrl' must be set for a feed/]
  ] as const) t.throws(() => read(options), { message })
})

t.test('development is refused in production', async (t) => {
  const { NODE_ENV } = process.env
  t.teardown(() => { if (NODE_ENV === undefined) delete process.env['NODE_ENV']; else process.env['NODE_ENV'] = NODE_ENV })
  process.env['NODE_ENV'] = 'production'
  t.throws(() => read({ dev: true }), { code: 'FST_ISR_ERR_SITE_DEV' })
  t.throws(() => read({ dev: { poll: 300 } }), { code: 'FST_ISR_ERR_SITE_DEV' })
  t.equal(read({ dev: false }).dev, null)
})
