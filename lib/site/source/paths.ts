/**
 * Whether a path is one that a source may be asked for: relative, `/` between
 * its parts, no empty or dot parts, nothing that one system takes for a
 * separator or an end and another for a letter.
 */
export function isSourcePath (path: string): boolean {
  // eslint-disable-next-line no-control-regex
  if (path === '' || /[\u0000\\]/.test(path)) return false
  return path.split('/').every(part => part !== '' && part !== '.' && part !== '..')
}

/** Files of editors, version control and desktops, which are no part of a site. */
export function isHidden (name: string): boolean {
  return name.startsWith('.') || name.endsWith('~')
}

/** By code unit: the same order on all machines. */
export function byPath (a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}
