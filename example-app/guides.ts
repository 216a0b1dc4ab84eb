import { code, html, table, trusted, type Html } from './layout.js'

export interface Guide {
  slug: string
  title: string
  summary: string
  body: Html
}

export const guides: Guide[] = [
  {
    slug: 'when-not-to-use-it',
    title: 'When not to use it',
    summary: 'A cached page is the same for everybody. Some pages are not, and a few that are gain nothing.',
    body: html`
<h2>Never, when the page is about one visitor</h2>
<p>A basket, an account, a list of orders, a page that greets by name. The internal render has no visitor, so such a page would at best be wrong: it would show everybody the signed-out version. Leave its route without the flag.</p>
<h2>Not, when it must be exact to the second</h2>
<p>A seat plan, an auction, the balance of an account. Between a change and the next render the page is old, and no window makes that zero. Show the rest of the page prerendered and fetch the one number that must be exact.</p>
<h2>Hardly, when nobody asks twice</h2>
<p>A page pays for its render when it is served a second time. Free-text search with its endless queries, or reports that are opened once, fill the memory and are never hit.</p>
<h2>Not, when access is checked late</h2>
<p>A page from memory is served after the <code>onRequest</code> hooks and before the others. If a route checks permissions in a <code>preHandler</code>, a hit goes past that check. Move the check to <code>onRequest</code>, or leave the flag off.</p>
<h2>A question that settles most cases</h2>
<p>Would you print this page and hang it in a shop window? Then prerender it.</p>`
  },
  {
    slug: 'choosing-a-ttl',
    title: 'Choosing a ttl',
    summary: 'How old may the page be before somebody minds? That is the ttl, and often there need not be one.',
    body: html`
<h2>Start without one</h2>
<p>With <code>prerender: true</code> a page is fresh until the next build, or until you revalidate it. If you know when your content changes, because the change goes through your own app, this is the best choice: never old, never rendered for nothing.</p>
<h2>Add a ttl when changes come from elsewhere</h2>
<p>Prices from another service, a feed, a count. Ask how old the page may be before somebody minds. That many seconds is the ttl.</p>
${table('Starting points', ['Page', 'ttl', 'Why'], [
  ['Documentation, terms', 'none', 'they change with a deploy'],
  ['Blog post', 'none, and revalidate on save', 'you know when it changes'],
  ['Price list', '300', 'five minutes old is fine'],
  ['Front page of a newspaper', '10', 'thousands of visits per render'],
  ['Scores of a running match', '1', 'still one render per second instead of one per visitor']
])}
<h2>A small ttl is still worth a lot</h2>
<p>At a hundred requests per second, a ttl of one second turns a hundred renders into one. Nobody waits for that one either: while it runs, visitors get the page from before.</p>
<h2>Leave the other two windows alone</h2>
<p><code>staleWhileRevalidate</code> and <code>staleIfError</code> have no end by default. Limit the first only if a page that was not visited for a week must not be shown a week old to the first visitor. Limit the second only if an old page does more harm than an error.</p>`
  },
  {
    slug: 'revalidate-purge-refresh',
    title: 'Revalidate, purge or refresh',
    summary: 'Three orders that say “this page has changed”. They differ in who waits, and in what may still be seen.',
    body: html`
${table('Four ways to say that a page has changed', ['Order', 'The next visitor', 'Use it for'], [
  [html`<code>revalidate</code>`, 'gets the old page at once; a render runs behind', 'nearly everything'],
  [html`<code>revalidate</code>, <code>expire: 0</code>`, 'waits for the new page; sees the old one only if rendering fails', 'an editor who wants to see the change'],
  [html`<code>purge</code>`, 'waits for the new page; the old one is never seen again', 'what must disappear: a leak, a takedown'],
  [html`<code>refresh</code>`, 'gets the new page at once: it was rendered by the call', 'a scheduler, or before you announce a page']
])}
<h2>Let the route say what it changes</h2>
<p>Usually a page changes because somebody sent a form or called an API. Then the route that takes it can name the page. It happens after a successful answer only:</p>
${code('A route that names the page it changes', trusted(`app.post('/blog/:slug', {
  config: {
    <b>revalidate: request => ({ path: \`/blog/\${request.params.slug}\` })</b>
  }
}, savePost)`))}
<h2>More than one page at a time</h2>
<p>A target is a path, all pages of a route, or everything; an array names several.</p>
${code('Targets', html`await app.isr.revalidate({ path: '/blog/hello' })
await app.isr.revalidate({ route: '/blog/:slug' })
await app.isr.purge([{ path: '/blog/oops' }, { path: '/blog' }])`)}
<p>The <a href="/notice">notice board</a> has a button for each of the first two.</p>`
  },
  {
    slug: 'when-rendering-fails',
    title: 'When rendering fails',
    summary: 'As long as a good page exists, a visitor sees it. What counts as a failure, and what happens next.',
    body: html`
<h2>What counts as a failure</h2>
<p>The handler throws, takes longer than <code>render.timeout</code>, or answers with 5xx, 408 or 429. A 404 is no failure: it says that the page is gone, and then the old one goes as well.</p>
<h2>With an old page</h2>
<p>Within <code>staleWhileRevalidate</code> nobody notices: the visitor has the old page already, and the render behind it fails alone. After that, a visitor waits for one try; if it fails and <code>staleIfError</code> still holds, the old page is served. <code>Cache-Status</code> says <code>detail=stale-if-error</code>, so that you can see and count it.</p>
<h2>Without one</h2>
<p>All who wait get the same error, and it is marked <code>no-store</code>. It is remembered for a moment, or a page that cannot be rendered would be tried by each visitor, which rarely helps a database that is already in trouble.</p>
<h2>The next try</h2>
<p>The pause grows from one second to thirty, and one request at a time may try. When you revalidate the page, the pause is forgotten: perhaps you have just mended it.</p>
<h2>In the build</h2>
<p>A page that fails does not stop the others, and the one from the last build is kept. The exit code says that something failed.</p>
<p>The <a href="/outage">outage page</a> lets you try all this.</p>`
  },
  {
    slug: 'pages-are-anonymous',
    title: 'Pages are anonymous',
    summary: 'No byte of a stored page comes from a visitor’s request. What follows for your handlers.',
    body: html`
<h2>Nobody is there</h2>
<p>A page is rendered by an internal request: no cookies, no session, no address, no user agent, and only the query parameters the route allows. A handler that asks for them gets nothing. In turn it cannot leak anything, and no visitor can slip something into a page that others see.</p>
<h2>When a hook gets in the way</h2>
<p>Hooks run for the internal request too. A hook that demands a session, or counts visits, can tell it apart:</p>
${code('A hook that lets internal renders pass', trusted(`app.addHook('onRequest', async request => {
  if (<b>request.isrRender</b>) return
  await countVisit(request)
})`))}
<h2>The small personal part</h2>
<p>Often one corner of a page is personal: a name, a number in a basket. Prerender the page without it and let a small module fetch it:</p>
${code('A module that fills in the personal part', trusted(`const response = await fetch('/api/basket')
const { items } = await response.json()
document.querySelector('[data-basket]').textContent = items`))}
<p>The page is there at once, the corner a moment later, and the address that answers it has no flag.</p>
<h2>Forms</h2>
<p>A token in a form differs from visitor to visitor, so it cannot be in a shared page. The forms on this site have none: the routes check <code>Sec-Fetch-Site</code>, with which every current browser says where a request comes from.</p>`
  }
]
