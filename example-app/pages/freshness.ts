import type { FastifyInstance } from 'fastify'
import { html, sendPage, time, type Html } from '../layout.js'
import { answerAt, segmentsOf, type Windows } from '../shared/freshness.js'
import { timeline } from '../timeline.js'

const windows: Windows = { ttl: 60, staleWhileRevalidate: 120, staleIfError: 240 }
const age = 75

export default async function freshness (app: FastifyInstance) {
  app.get('/freshness', { config: { mode: 'hydrated', prerender: true } }, async (request, reply) => {
    const now = answerAt(age, windows, 'works')
    const end = segmentsOf(windows).at(-1)?.to ?? age

    return sendPage(request, reply, {
      title: 'Freshness, and a page that comes alive',
      description: 'A prerendered page with a live clock and a slider that moves a page through its freshness windows.',
      lead: 'The words and the numbers you see first were rendered by the build. A small module takes them over in your browser: same HTML for everybody, and alive.',
      scripts: ['freshness-page.js'],
      body: html`
<section aria-labelledby="clock">
<h2 id="clock">Frozen and live</h2>
<dl class="numbers">
<div><dt>Generated at, frozen in the HTML</dt><dd data-generated>${time(new Date())}</dd></div>
<div><dt>Now, by your clock</dt><dd data-clock>starts with JavaScript</dd></div>
<div><dt>So this HTML is</dt><dd data-since>–</dd></div>
</dl>
</section>

<section aria-labelledby="windows">
<h2 id="windows">Move a page through time</h2>
<p>Set the three windows, then drag the age of the page. What would a visitor get at that moment?</p>
<form class="lab" data-lab>
${timeline(windows, age)}
${slider('age', 'Age of the page', age, 0, end)}
<fieldset>
<legend>When a visitor comes now, rendering</legend>
<label class="choice"><input type="radio" name="rendering" value="works" checked> works</label>
<label class="choice"><input type="radio" name="rendering" value="fails"> fails</label>
</fieldset>
<dl class="answer" data-answer data-state="${now.state}">
<div><dt>The page is</dt><dd><output class="state" data-state="${now.state}" data-out="state">${now.state}</output></dd></div>
<div><dt>The visitor gets</dt><dd data-out="visitor">${now.visitor}</dd></div>
<div><dt>Behind the scenes</dt><dd data-out="behind">${now.behind}</dd></div>
<div><dt>Status</dt><dd data-out="status">${now.status}</dd></div>
<div><dt>Cache-Status</dt><dd class="wire" data-out="cacheStatus">${now.cacheStatus}</dd></div>
</dl>
<fieldset class="windows">
<legend>The windows of the route</legend>
${slider('ttl', 'ttl', windows.ttl, 0, 120)}
${slider('staleWhileRevalidate', 'staleWhileRevalidate', windows.staleWhileRevalidate, 0, 300)}
${slider('staleIfError', 'staleIfError', windows.staleIfError, 0, 600)}
</fieldset>
<button type="reset" class="quiet">Back to the start</button>
</form>
</section>

<section aria-labelledby="made">
<h2 id="made">How this page is made</h2>
<p>The route has <code>prerender: true</code> and nothing else. The server puts the first state of the slider into the HTML, so the page is complete before any script has loaded. Then an external module finds the same elements and takes over. Server and browser run the <a href="/static/freshness.js">same file</a> to decide what is fresh, so they cannot disagree.</p>
<p>No part of it needs an inline script: the page works under <code>default-src 'self'</code>.</p>
</section>`
    })
  })
}

function slider (name: string, text: string, value: number, min: number, max: number): Html {
  return html`<div class="slider">
<label for="${name}">${text}</label>
<input id="${name}" name="${name}" type="range" min="${min}" max="${max}" step="1" value="${value}">
<output for="${name}" data-value="${name}">${value} s</output>
</div>`
}
