import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { SiteOptions } from '../../types/site.js'
import { CoreMissing } from './errors.js'
import { readSiteOptions } from './options.js'

export type * from '../../types/site.js'

async function fastifyIsrSite (app: FastifyInstance, options: SiteOptions): Promise<void> {
  readSiteOptions(options)
  if (!app.hasDecorator('isr')) throw new CoreMissing()
}

const plugin = fp(fastifyIsrSite, { fastify: '5.x', name: 'fastify-isr/site' })

export default plugin
export { plugin, plugin as fastifyIsrSite, plugin as 'module.exports' }
