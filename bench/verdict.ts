/** One figure of one target. */
export interface Verdict {
  target: number
  what: string
  required: string
  measured: string
  /** Null: told, not required; or not measured. */
  met: boolean | null
}
