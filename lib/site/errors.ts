import createError from '@fastify/error'

/** The last argument of every error of this file may say what caused it. */
type Cause = { cause?: unknown }

// One class per thing that can be put right, in alphabetical order. Messages
// name the option, file or page, and the fix.
export const AssetBroken = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_ASSET_BROKEN', "asset '%s': %s")
export const AssetClash = createError<[string, string]>(
  'FST_ISR_ERR_SITE_ASSET_CLASH', "the assets '%s' and '%s' would have one name, at least where file systems ignore case: rename one")
export const AssetUnknown = createError<[string, string]>(
  'FST_ISR_ERR_SITE_ASSET_UNKNOWN', "there is no asset '%s'%s")
export const AssetsMissing = createError<[string]>(
  'FST_ISR_ERR_SITE_ASSETS_MISSING', "no assets have been built in '%s': run 'fastify-isr site build' first, or set the option 'static.dir'")
export const AssetsUnreadable = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_ASSETS_UNREADABLE', "the manifest '%s' can't be used: %s; build the assets again")
export const AssetsUnwritable = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_ASSETS_UNWRITABLE', "the assets could not be written to '%s': %s; the last build stays in force")
export const BundleFailed = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_BUNDLE', '%s: %s')
export const CollectionUnknown = createError<[string, string]>(
  'FST_ISR_ERR_SITE_COLLECTION', "there is no collection '%s'; the option 'collections' declares %s", 500, TypeError)
export const CoreMissing = createError(
  'FST_ISR_ERR_SITE_CORE', "fastify-isr/site needs fastify-isr on the same instance: 'await app.register(isr)' before it")
export const DevInPage = createError<[string]>(
  'FST_ISR_ERR_SITE_DEV_IN_PAGE', "the page %s refers to '/__dev/', which no visitor can load: build with NODE_ENV=production, so that the option 'dev' is off, and remove references of your own", 500)
export const DevInProduction = createError(
  'FST_ISR_ERR_SITE_DEV', "option 'dev' must not be on in production (NODE_ENV=production): say dev: process.env.NODE_ENV !== 'production'")
export const FeedInvalid = createError<[string, string]>(
  'FST_ISR_ERR_SITE_FEED', "'%s' of a feed, a sitemap or robots.txt %s", 500, TypeError)
export const FileOutside = createError<[string, string]>(
  'FST_ISR_ERR_SITE_OUTSIDE', "the file '%s' is a link that leads out of the site, to '%s': put a copy in its place; links may only lead to files of the site")
export const FileUnreadable = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_FILE', "the file '%s' of the site can't be read: %s")
export const FilterInvalid = createError<[string, string]>(
  'FST_ISR_ERR_SITE_FILTER', "option 'filters': '%s' %s", 500, TypeError)
export const FolderMissing = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_FOLDER', "the site has no folder '%s': looked for %s; create it, or correct the option that names it: 'root', or 'dir' or 'source' of a collection")
export const FrontMatterInvalid = createError<[string, number, string]>(
  'FST_ISR_ERR_SITE_FRONT_MATTER', '%s:%d: front matter: %s')
export const ImageAttributesMissing = createError<[string, string]>(
  'FST_ISR_ERR_SITE_IMAGE_ATTRIBUTES', "the image '%s' has no '%s': both src and alt are needed, alt=\"\" for decoration")
export const ImageSizeUnknown = createError<[string]>(
  'FST_ISR_ERR_SITE_IMAGE_SIZE', "the size of the image '%s' can't be read: the file is broken, or an SVG without width, height and viewBox")
export const LanguageUnknown = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_SITE_LANGUAGE', "option 'markdown.languages': highlight.js can't load the language '%s': %s", 500, TypeError)
export const NotAnImage = createError<[string]>(
  'FST_ISR_ERR_SITE_IMAGE_SRC', "'%s' is no image of this site: src must be the path of an asset that ends in png, jpg, jpeg, gif, webp, avif or svg")
export const PageInvalid = createError<[string, string]>(
  'FST_ISR_ERR_SITE_PAGE', '%s: %s')
export const PeerMissing = createError<[string, string, string, Cause?]>(
  'FST_ISR_ERR_SITE_PEER', "the package '%s' is needed for %s and not installed: npm install %s")
export const LinksEndless = createError<[string, number]>(
  'FST_ISR_ERR_SITE_LINKS', "below '%s' of the site, symbolic links lead to more than %d folders: they probably lead to each other, and every way through them would be another page; remove some")
export const SiteAlreadyRegistered = createError(
  'FST_ISR_ERR_SITE_ALREADY_REGISTERED', 'fastify-isr/site is registered on this server already: one app has one site')
export const SitePrefixed = createError<[string]>(
  'FST_ISR_ERR_SITE_PREFIX', "fastify-isr/site is registered below the prefix '%s', but its pages, assets and feeds have URLs from the root: register it, and fastify-isr, where there is no prefix; the option 'prefix' of the site is for its pages")
export const SourceSilent = createError<[string, number]>(
  'FST_ISR_ERR_SITE_SILENT', "the files of the site have given no answer for '%s' within %d seconds: see whether the file system, or the 'source' of the options, hangs; what was known of them goes on")
