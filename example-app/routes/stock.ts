import type { FastifyInstance } from 'fastify'
import { code, html, sendPage, table, trusted } from '../layout.js'
import { sameOrigin } from '../same-origin.js'

interface Stock {
  name: string
  left: number
}

/** After the last one is sold, this many are delivered. */
const delivery = 12

export default async function stock (app: FastifyInstance) {
  // Stands for a database.
  const source = new Map<string, Stock>([
    ['lamp', { name: 'Desk lamp', left: 12 }],
    ['kettle', { name: 'Kettle', left: 7 }],
    ['atlas', { name: 'Pocket atlas', left: 3 }]
  ])
  const ids = [...source.keys()]
  const paths = ['/stock', ...ids.map(id => `/stock/${id}`)]
  let reads = 0

  const readStock = app.isr.cached('stock', async (id: string) => {
    reads++
    return { ...source.get(id) ?? { name: id, left: 0 } }
  }, { ttl: Infinity })

  app.get('/stock', { config: { mode: 'prerendered', prerender: true } }, async (request, reply) => {
    const items = await Promise.all(ids.map(async id => ({ id, ...await readStock(id) })))

    return sendPage(request, reply, {
      title: 'The stock room',
      description: 'A prerendered page made of cached data: it changes when one of its data does, and no route says so.',
      lead: 'Three numbers, each kept as a datum of its own. This page was made of all three and knows it: when one of them is revalidated, so is the page.',
      body: html`
<section aria-labelledby="room">
<h2 id="room">In the room</h2>
${table('Everything in stock when this page was rendered', ['Article', 'Left'], items.map(({ id, name, left }) => [
  html`<a href="/stock/${id}">${name}</a>`,
  html`<span data-left="${id}">${left}</span>`
]))}
<p>Open an article and sell one: its own page changes, and so does this one. The pages of the other two stay as they are.</p>
</section>

<section aria-labelledby="how">
<h2 id="how">How the page knows</h2>
<p>A render notes every datum it reads, through any number of <code>await</code>s. The notes become tags of the page that nobody has to write, or to keep in step with the code.</p>
${code('A function whose results are kept', trusted(`const readStock = <b>app.isr.cached</b>('stock', id => db.stock(id), { ttl: Infinity })

app.get('/stock', { config: { prerender: true } }, async () => {
  const items = await Promise.all(ids.map(id => <b>readStock(id)</b>))
  return render(items)
})`))}
<p>Data can belong to requests as well as to pages: <a href="/tenants/harbour">settings per tenant</a></p>
</section>`
    })
  })

  app.get<{ Params: { id: string } }>('/stock/:id', {
    config: { mode: 'prerendered', prerender: { paths: ids.map(id => ({ id })) } }
  }, async (request, reply) => {
    const { id } = request.params
    if (!source.has(id)) return reply.callNotFound()
    const { name, left } = await readStock(id)

    return sendPage(request, reply, {
      title: name,
      description: `How many of ${name} are left: a prerendered page that follows its datum.`,
      section: '/stock',
      lead: 'This page has no ttl and no tag. It was made of one datum, and it changes when that datum does.',
      scripts: ['stock.js'],
      body: html`
<p class="flash" id="sold">Sold. This may still be the page from before: the visitor who comes first gets it while the new one is rendered. <a href="/stock/${id}">Load the page again</a></p>
<p class="flash" id="sold-silently">Sold, and nobody was told: the page has no reason to change. <a href="/stock/${id}">Load the page again</a> as often as you like.</p>

<section aria-labelledby="left">
<h2 id="left">On the shelf</h2>
<p class="headline"><span data-left="${id}">${left}</span> left</p>
<form method="post" action="/stock/${id}" class="switch">
<dl class="facts" data-now="/stock/${id}/now">
<div><dt>In the source now</dt><dd data-fact="left">unknown without JavaScript</dd></div>
<div><dt>Reads of the source by this process</dt><dd data-fact="reads">–</dd></div>${paths.map(path => html`
<div><dt><a href="${path}">${path}</a></dt><dd><span class="state" data-page="${path}">–</span></dd></div>`)}
</dl>
<div class="actions">
<button type="submit" name="tell" value="yes">Sell one</button>
<button type="submit" name="tell" value="no" class="quiet">Sell one and tell nobody</button>
<a class="button quiet" href="/stock/${id}">Load the page again</a>
</div>
</form>
</section>

<section aria-labelledby="buttons">
<h2 id="buttons">The two buttons</h2>
<p>Both sell one. The first then says which datum is no longer true. It names no page:</p>
${code('Revalidating a datum', trusted(`app.post('/stock/:id', async (request, reply) => {
  await db.sell(request.params.id)
  <b>await readStock.revalidate(request.params.id)</b>
  return reply.redirect(…, 303)
})`))}
<p>Every page that was rendered with it is stale from then on: this one and <a href="/stock">the stock room</a>, until they are asked for. The pages of the other articles stay fresh.</p>
<p>The second button only changes the source. Nobody is told, so no page has a reason to change. The next sale with the first button catches up.</p>
</section>`
    })
  })

  // The page is shared and may be old, so what is true now has an address of its own.
  app.get<{ Params: { id: string } }>('/stock/:id/now', async (request, reply) => {
    const item = source.get(request.params.id)
    if (item === undefined) return reply.callNotFound()
    reply.header('cache-control', 'no-store')
    const pages = await Promise.all(paths.map(async path => ({ path, state: (await app.isr.inspect(path)).state })))
    return { left: item.left, reads, pages }
  })

  app.post<{ Params: { id: string } }>('/stock/:id', { preHandler: sameOrigin }, async (request, reply) => {
    const { id } = request.params
    const item = source.get(id)
    if (item === undefined) return reply.callNotFound()
    item.left = item.left > 0 ? item.left - 1 : delivery

    const isSilent = typeof request.body === 'object' && request.body !== null && 'tell' in request.body && request.body.tell === 'no'
    if (!isSilent) await readStock.revalidate(id)
    return reply.redirect(`/stock/${id}#${isSilent ? 'sold-silently' : 'sold'}`, 303)
  })
}
