import type { FastifyInstance } from 'fastify'
import { channels, type IsrEvents } from '../telemetry.js'
import type { SiteFiles } from './site-files.js'

/**
 * Tells the checker which pages are asked for. By an event of the core and not
 * by a hook: a hook would have to run for each cached answer, which then could
 * not be written past Fastify. The channel is that of the whole process; pages
 * of another app are pages that nobody knows here.
 */
export function watchVisitors (app: FastifyInstance, files: SiteFiles): void {
  const { checker } = files
  const onServe = ({ path, outcome }: IsrEvents['serve']): void => {
    if (outcome === 'hit' || outcome === 'stale') checker.due(path)
    else checker.missed(path)
  }
  app.addHook('onReady', async () => { channels.serve.subscribe(onServe) })
  // Before the core closes what a check may still order.
  app.addHook('preClose', async () => {
    channels.serve.unsubscribe(onServe)
    await files.close()
  })
}
