import createError from '@fastify/error'

/** The last argument of every error of this file may say what caused it. */
type Cause = { cause?: unknown }

// Refusals of what the developer wrote. They surface at `register`, at the
// route's own line or at the call.
export const InvalidOption = createError<[string, string, string]>(
  'FST_ISR_ERR_INVALID_OPTION', "option '%s' must be %s, got %s", 500, TypeError)
export const InvalidPolicy = createError<[string, string, string, string]>(
  'FST_ISR_ERR_INVALID_POLICY', "route %s: config.prerender: '%s' must be %s, got %s", 500, TypeError)
export const AlreadyRegistered = createError(
  'FST_ISR_ERR_ALREADY_REGISTERED', 'fastify-isr is registered on this server already: register it once, on the root instance')
export const InsecureParser = createError(
  'FST_ISR_ERR_INSECURE_PARSER', "a server with 'insecureHTTPParser' takes apart requests otherwise than others do, and a cache makes that everybody's trouble: turn it off")
export const SharedWithoutBuild = createError<[string]>(
  'FST_ISR_ERR_REDIS_BUILD_ID', "option '%s' needs a namespace for the pages: run 'fastify-isr prerender' first, or set the option 'buildId' (for example buildId: process.env.GIT_SHA)")
export const RouteWithoutGet = createError<[string, string]>(
  'FST_ISR_ERR_ROUTE_WITHOUT_GET', 'route %s %s has config.prerender but no GET method: remove the flag or declare a GET route')
export const UnrenderableConstraint = createError<[string, string, string]>(
  'FST_ISR_ERR_CONSTRAINT', "route %s: a render can't satisfy the constraint '%s': %s")
export const ExpressLaneRefused = createError<[string]>(
  'FST_ISR_ERR_EXPRESS_LANE', "option 'expressLane': answers that pass by Fastify would differ, because of: %s")
export const InvalidTarget = createError<[string, Cause?]>(
  'FST_ISR_ERR_INVALID_TARGET', 'invalid target: %s', 400, TypeError)
export const InvalidTag = createError<[string, string]>(
  'FST_ISR_ERR_INVALID_TAG', 'invalid tag %s: a tag is a string of 1 to 256 bytes without control characters%s', 500, TypeError)
export const InvalidTtl = createError<[string]>(
  'FST_ISR_ERR_INVALID_TTL', 'a ttl must be a number of seconds, 0 or more, got %s', 500, TypeError)
export const InvalidPaths = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_PATHS', 'route %s: paths: %s')
export const InvalidData = createError<[string, string, string, string]>(
  'FST_ISR_ERR_DATA', "%s: '%s' must be %s, got %s", 500, TypeError)
export const InvalidDataKey = createError<[string, string]>(
  'FST_ISR_ERR_DATA_KEY', "data '%s': no key can be made of these arguments: %s", 500, TypeError)
export const UnstorableValue = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_DATA_VALUE', "data '%s': this value can't be kept: %s")
export const DataTimeout = createError<[string, number]>(
  'FST_ISR_ERR_DATA_TIMEOUT', "data '%s': the fetch took longer than its timeout (%d ms)", 504)
export const NothingToRenew = createError<[string]>(
  'FST_ISR_ERR_DATA_NOT_MODIFIED', "data '%s': notModified() was called although there is no old value")
export const ApplyFailed = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_DATA_APPLY', "data '%s': apply failed: %s")
export const NotReady = createError<[string]>(
  'FST_ISR_ERR_NOT_READY', '%s() needs a ready app: call it after `await app.ready()`, or in an onListen hook; awaited in onReady it would wait for itself')
export const BuildRunning = createError(
  'FST_ISR_ERR_BUILD_RUNNING', 'prerender() is running already in this process: await it before the next one')
export const BuildAborted = createError(
  'FST_ISR_ERR_BUILD_ABORTED', 'the build was aborted; the last build is untouched')
export const BuildUnwritable = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_BUILD_UNWRITABLE', "the build could not be written to '%s': %s; the last build stays in force")
export const SitemapWithoutBaseUrl = createError(
  'FST_ISR_ERR_SITEMAP_BASE_URL', "a sitemap needs absolute URLs: set the option 'baseUrl' (or --base-url)")

// What a render can end in.
export const RenderTimeout = createError<[string, number]>(
  'FST_ISR_ERR_RENDER_TIMEOUT', 'rendering %s took longer than render.timeout (%d ms)', 504)
export const RenderQueueFull = createError<[string]>(
  'FST_ISR_ERR_RENDER_QUEUE_FULL', 'no room to render %s: render.maxQueue renders are waiting', 503)
export const RenderCycle = createError<[string]>(
  'FST_ISR_ERR_RENDER_CYCLE', 'rendering waits for itself: %s', 508)
export const RenderStatus = createError<[string, number, Cause?]>(
  'FST_ISR_ERR_RENDER_STATUS', 'rendering %s answered with status %d', 500, Error, false)
export const RenderFailed = createError<[string, Cause?]>(
  'FST_ISR_ERR_RENDER_FAILED', 'rendering %s failed: the answer broke off before its end')
export const RenderFailedElsewhere = createError<[string, string]>(
  'FST_ISR_ERR_RENDER_FAILED_ELSEWHERE', 'rendering %s failed on another instance moments ago: %s', 503)
export const Closing = createError<[string]>(
  'FST_ISR_ERR_CLOSING', 'the app is closing: %s is not rendered', 503)

// What becomes of worker threads.
export const WorkersWithoutApp = createError(
  'FST_ISR_ERR_WORKERS_APP', "rendering in worker threads needs to know the app: set the option 'render.app' to the module that exports it (for example render: { workers: 1, app: 'app.js' })", 500, TypeError)
export const WorkerLoad = createError<[string, Cause?]>(
  'FST_ISR_ERR_WORKER_LOAD', 'the app can not be loaded a second time, in a worker thread: %s; pages are rendered in the main thread')
export const WorkerDied = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_WORKER_DIED', 'rendering %s has ended its worker thread: %s')
export const WorkerRoute = createError<[string]>(
  'FST_ISR_ERR_WORKER_ROUTE', "the app in the worker thread has no route '%s': its module must declare what the running app declares")

// What is found on disk.
export const BadEntry = createError<[string, Cause?]>(
  'FST_ISR_ERR_BAD_ENTRY', 'unreadable entry: %s')
export const BadManifest = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_BAD_MANIFEST', "the manifest '%s' is not usable: %s; run the build again")

// What becomes of Redis.
export const RedisUnavailable = createError<[string, Cause?]>(
  'FST_ISR_ERR_REDIS_UNAVAILABLE', 'Redis could not be asked: %s', 503)
export const TierUnavailable = createError<[string, string, Cause?]>(
  'FST_ISR_ERR_TIER_UNAVAILABLE', "the tier '%s' could not be asked: %s", 503)
