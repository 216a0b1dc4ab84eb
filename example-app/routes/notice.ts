import type { FastifyInstance, FastifyReply } from 'fastify'
import { sameOrigin } from '../same-origin.js'

const longest = 120
const kept = 5

interface Notice {
  text: string
  at: Date
}

export default async function notice (app: FastifyInstance) {
  const notices: Notice[] = []

  app.get('/notice', { config: { prerender: true } }, async (_request, reply) => reply.page('views/notice.html', { notices, longest }))

  app.post('/notice', {
    preHandler: sameOrigin,
    config: { revalidate: { path: '/notice' } }
  }, async (request, reply) => {
    if (!pin(request.body)) return refuse(reply)
    return reply.redirect('/notice#pinned', 303)
  })

  app.post('/notice/at-once', { preHandler: sameOrigin }, async (request, reply) => {
    if (!pin(request.body)) return refuse(reply)
    await app.isr.revalidate({ path: '/notice' }, { expire: 0 })
    return reply.redirect('/notice#pinned-at-once', 303)
  })

  function pin (body: unknown): boolean {
    const text = textOf(body)
    if (text === '') return false
    notices.unshift({ text, at: new Date() })
    notices.length = Math.min(notices.length, kept)
    return true
  }
}

/** Not a redirect: only a 2xx or 3xx answer revalidates, and nothing has changed. */
function refuse (reply: FastifyReply): FastifyReply {
  return reply.code(422).page('views/notice-empty.html')
}

function textOf (body: unknown): string {
  if (typeof body !== 'object' || body === null || !('text' in body) || typeof body.text !== 'string') return ''
  return body.text.trim().slice(0, longest)
}
