import fc from 'fast-check'
import type { Test } from 'tap'

/** Runs a property; a failure is told with its seed, in characters that every terminal can show. */
export function holds<Values extends unknown[]> (t: Test, property: fc.IProperty<Values>, options: { numRuns?: number } = {}): void {
  tell(t, fc.check(property, options))
}

export async function holdsInTime<Values extends unknown[]> (t: Test, property: fc.IAsyncProperty<Values>, options: { numRuns?: number } = {}): Promise<void> {
  tell(t, await fc.check(property, options))
}

function tell<Values> (t: Test, details: fc.RunDetails<Values>): void {
  if (!details.failed) {
    t.pass(`${details.numRuns} runs`)
    return
  }
  const message = details.errorInstance instanceof Error ? details.errorInstance.message : 'the property is false'
  const counterexample = JSON.stringify(details.counterexample).replace(/[^\x20-\x7e]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
  t.fail(`seed ${details.seed}, path ${details.counterexamplePath}: ${encodeURI(message)} for ${counterexample}`)
}
