import type { FastifyInstance } from 'fastify'
import { life } from '../data.js'
import { modes } from '../modes.js'
import { answerAt, segmentsOf } from '../site/assets/js/freshness.js'

export default async function freshness (app: FastifyInstance) {
  const { age, windows } = life

  app.get('/freshness', { config: { prerender: true } }, async (_request, reply) => reply.page('views/freshness.html', {
    mode: modes.hydrated,
    age,
    windows,
    end: segmentsOf(windows).at(-1)?.to ?? age,
    answer: answerAt(age, windows, 'works')
  }))
}
