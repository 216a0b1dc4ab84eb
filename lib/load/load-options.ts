/** How an app is loaded; plain data, so that it can be handed to a worker thread. */
export interface LoadOptions {
  file: string
  useOptions: boolean
  require: string[]
  import: string[]
  prefix: string | undefined
  /** Milliseconds; 0 is no limit. */
  pluginTimeout: number | undefined
  /** Of the app's log; without it only the plugin's warnings are shown. */
  logLevel: string | undefined
  appOptions: Record<string, unknown>
}
