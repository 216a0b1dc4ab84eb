import { contend } from '../compare.js'
import { BROWSER, ENCODINGS } from '../requests.js'
import { addTable, begin, withCandidates, type Suite } from '../suite.js'

const OWN = ['raw', 'memory-hit', 'express-hit']
const PEERS = ['static', 'dedupe', 'uncached', 'nginx', 'varnish', 'nitro']

export const peers: Suite = async context => {
  const result = begin('peers', context)
  await withCandidates([...OWN, ...PEERS], context, result, async running => {
    await addTable(result, running.map(candidate => contend(candidate)), context, { name: 'peers', title: 'Peers, one page of 10.6 KB', reference: 'raw' })
  })
  // Alone with what it is compared with: beside idle servers it is slower.
  await withCandidates([...OWN, 'next'], context, result, async running => {
    await addTable(result, running.map(candidate => contend(candidate)), context, { name: 'next', title: 'Next.js', reference: 'raw' })
    const headers = { ...BROWSER, 'accept-encoding': ENCODINGS }
    await addTable(result, running.map(candidate => contend(candidate, { headers })), context, {
      name: 'next-browser', title: "Next.js, with a browser's headers and encodings", reference: 'raw'
    })
  })
}
