import hooks, { AsyncLocalStorage } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Makes all storages that are created from now on share one. Before Node 24
 * every promise asks every storage: no matter with the one of a server, but
 * with those of a thousand instances in one process.
 */
export function shareStorage (): void {
  const shared = new AsyncLocalStorage<ReadonlyMap<object, unknown>>()
  class SharedStorage {
    run<R> (store: unknown, work: () => R): R {
      return shared.run(new Map(shared.getStore()).set(this, store), work)
    }

    getStore (): unknown {
      return shared.getStore()?.get(this)
    }

    disable (): void {}
  }
  Object.assign(hooks, { AsyncLocalStorage: SharedStorage })
  syncBuiltinESMExports()
}
