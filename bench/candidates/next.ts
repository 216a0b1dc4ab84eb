import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Peer } from '../candidate.js'
import { ensureProject } from '../peers/install.js'
import { freePort, startProgram } from '../peers/program.js'

// A page of Next.js holds what it shows twice, as HTML and for its hydration: so many products
// make one of about 10.6 KB in all.
const PRODUCTS = 10

const PAGE = `export const revalidate = 3600

const products = Array.from({ length: ${PRODUCTS} }, (_, index) => ({
  name: 'Lamp N° ' + (index + 1) + ' "Ångström"',
  maker: index % 3 === 0 ? 'Bright & Sons' : 'Léon <Lumière>',
  description: 'A lamp for desk ' + (index + 1) + ': warm, quiet & dimmable, with a cable of ' + (2 + index % 4) + ' metres.',
  price: (19 + index * 1.5).toFixed(2)
}))

export default function Page () {
  return <><h1>Lamps</h1><ul>{products.map(({ name, maker, description, price }) =>
    <li className='product' key={name}><h2>{name}</h2><p>{description}</p><p>by {maker}, {price} €</p></li>)}</ul></>
}
`

const LAYOUT = `export const metadata = { title: 'Lamps', description: 'Lamps for every desk' }

export default function Layout ({ children }) {
  return <html lang='en'><body>{children}</body></html>
}
`

const next: Peer = {
  title: 'Next.js, ISR page',
  async start (setting, tools) {
    const folder = await ensureProject({
      name: 'next-16',
      dependencies: { next: '16', react: '19', 'react-dom': '19' },
      files: { 'app/page.jsx': PAGE, 'app/layout.jsx': LAYOUT },
      build: ['next', 'build']
    }, tools)
    const { version } = JSON.parse(await readFile(path.join(folder, 'node_modules/next/package.json'), 'utf8')) as { version: string }
    const port = await freePort()
    return await startProgram({
      command: process.execPath,
      args: [path.join(folder, 'node_modules/next/dist/bin/next'), 'start', '-p', String(port), '-H', '127.0.0.1'],
      port,
      version,
      cwd: folder,
      env: { NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' }
    }, tools)
  },
  verify (text, headers) {
    if (!text.includes('<h1>Lamps</h1>')) return 'answers another page'
    const status = headers.get('x-nextjs-cache')
    if (status !== 'HIT') return `answers with x-nextjs-cache ${status}`
    const kilobytes = Buffer.byteLength(text) / 1000
    return kilobytes > 9 && kilobytes < 12.5 ? null : `answers a page of ${kilobytes} KB`
  }
}

export default next
