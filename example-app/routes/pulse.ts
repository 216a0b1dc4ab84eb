import { memoryUsage } from 'node:process'
import type { FastifyInstance } from 'fastify'
import { html, sendPage, table, time } from '../layout.js'

const kept = 6

export default async function pulse (app: FastifyInstance) {
  const renders: Date[] = []

  app.get('/pulse', { config: { mode: 'isr', prerender: { ttl: 5 } } }, async (request, reply) => {
    renders.push(new Date())

    return sendPage(request, reply, {
      title: 'The pulse of this server',
      description: 'A page with a ttl of five seconds: at most one render per five seconds, however many visitors come.',
      lead: 'This page may be five seconds old. Load it again and again: the number of renders does not follow the number of visits.',
      body: html`
<section aria-labelledby="numbers">
<h2 id="numbers">At the last render</h2>
<dl class="numbers">
<div><dt>Renders in this process</dt><dd data-renders>${renders.length}</dd></div>
<div><dt>Running for</dt><dd>${Math.round(process.uptime())} s</dd></div>
<div><dt>Memory</dt><dd>${Math.round(memoryUsage.rss() / 2 ** 20)} MiB</dd></div>
<div><dt>Process</dt><dd>${process.pid}</dd></div>
</dl>
<p><a class="button" href="/pulse">Load the page again</a></p>
</section>

<section aria-labelledby="watch">
<h2 id="watch">What to watch</h2>
<ol>
<li>Load the page several times within five seconds. Nothing changes: it comes from memory.</li>
<li>Wait until its age is over five seconds and load it. You get the <em>old</em> page at once. Your visit has set off a render, but you did not wait for it. A moment later the label finds that there is a newer page.</li>
<li>Load it once more. There is the new page.</li>
</ol>
<p>After the build the numbers show another process for a moment: the one that ran the build. Its page is served until the first render here replaces it.</p>
</section>

<section aria-labelledby="log">
<h2 id="log">The latest renders</h2>
${table('Renders of this page in this process', ['Number', 'Time'], renders
  .map((date, index) => [index + 1, time(date)])
  .slice(-kept)
  .reverse())}
</section>`
    })
  })
}
