/** The four ways this site answers a request. The label of each page tells its own. */
export const modes = {
  prerendered: {
    key: 'prerendered',
    name: 'Prerendered',
    note: 'Rendered by the build, served from memory, the same until somebody asks for a new one.'
  },
  hydrated: {
    key: 'hydrated',
    name: 'Prerendered + live',
    note: 'The HTML is as frozen as any prerendered page; a small module wakes it up in your browser.'
  },
  isr: {
    key: 'isr',
    name: 'ISR',
    note: 'Served from memory and rendered again in the background once it is older than its ttl.'
  },
  dynamic: {
    key: 'dynamic',
    name: 'Dynamic',
    note: 'Rendered for this request alone. Nothing is kept.'
  }
} as const

export type Mode = keyof typeof modes
