/** Why an app could not be loaded: something that its developer can put right. */
export class LoadError extends Error {
  readonly hint: string | undefined

  constructor (message: string, options: { hint?: string, cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.name = new.target.name
    this.hint = options.hint
  }
}

export function codeOf (error: unknown): string | undefined {
  const code = error instanceof Error ? (error as Error & { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}
