/** Of a few names, the one that was probably meant. */
export function similarName (name: string, names: Iterable<string>): string | null {
  let best: string | null = null
  let least = Math.max(2, Math.floor(baseOf(name).length / 3))
  for (const candidate of names) {
    const distance = candidate !== name && baseOf(candidate) === baseOf(name) ? 0 : distanceBetween(name, candidate, least)
    if (distance > least || candidate === name) continue
    if (distance < least || best === null) best = candidate
    least = distance
  }
  return best
}

function baseOf (name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** Of Levenshtein; more than `most` for all that is farther. */
function distanceBetween (one: string, other: string, most: number): number {
  if (Math.abs(one.length - other.length) > most) return most + 1
  let row = Array.from({ length: other.length + 1 }, (_, column) => column)
  for (let line = 1; line <= one.length; line++) {
    const next = [line]
    for (let column = 1; column <= other.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (one[line - 1] === other[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? most + 1
}
