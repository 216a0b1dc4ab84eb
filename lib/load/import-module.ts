import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import vm from 'node:vm'
import { codeOf } from './load-error.js'

/** Stands for a module in the working directory, as the place that names are resolved from. */
function here (): string {
  return path.join(process.cwd(), 'noop.js')
}

export function importFile (file: string): Promise<Record<string, unknown>> {
  return import(pathToFileURL(file).href) as Promise<Record<string, unknown>>
}

/** `--import`: a file, or a package as the project sees it. */
export async function importModule (name: string): Promise<void> {
  if (existsSync(name)) {
    await importFile(path.resolve(name))
    return
  }
  const file = resolvePackage(name)
  await (file === null ? importByEsmRules(name) : importFile(file))
}

/** `--require`: a file, or a package as the project sees it. */
export function requireModule (name: string): void {
  createRequire(here())(existsSync(name) ? path.resolve(name) : name)
}

// Node has no stable way to resolve from another place by the rules of `import`. Nearly all
// packages answer to those of `require`; null is one that only exports to `import`.
function resolvePackage (name: string): string | null {
  try {
    return createRequire(here()).resolve(name)
  } catch (error) {
    if (codeOf(error) === 'ERR_PACKAGE_PATH_NOT_EXPORTED') return null
    throw error
  }
}

// Experimental, and Node says so; thus only where nothing else works.
function importByEsmRules (name: string): unknown {
  return vm.runInThisContext(`import(${JSON.stringify(name)})`, {
    filename: here(),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  })
}
