import { fileSource, type Source } from 'fastify-isr/site'

/** Files of this repository outside of `docs/` that the documentation leads to, and what they are called on the site. */
const FILES: Readonly<Record<string, string>> = {
  'README.md': 'readme.md',
  'bench/README.md': 'bench.md',
  'SECURITY.md': 'reporting.md',
  'example-app/s3-tier.ts': 's3-tier.md'
}

/** Path in the repository → its URL. */
export const repositoryPages: ReadonlyMap<string, string> = new Map(Object.entries(FILES).map(([path, name]) => [path, `/docs/${name.replace(/\.md$/, '')}`]))

/** A few files of a large folder, under names of their own. Code becomes a page that shows it. */
export function repositorySource (root: string): Source {
  const files = fileSource(root)
  const paths = new Map(Object.entries(FILES).map(([path, name]) => [name, path]))
  return {
    // Nothing for development to watch: the folder has everything in it, down to node_modules/.
    locate: () => null,
    async list () {
      const stamps = await Promise.all([...paths].map(async ([name, path]) => ({ path: name, stamp: await files.stamp(path) })))
      return stamps.flatMap(({ path, stamp }) => stamp === null ? [] : [{ path, stamp }])
    },
    async stamp (name) {
      const path = paths.get(name)
      return path === undefined ? null : await files.stamp(path)
    },
    async read (name) {
      const path = paths.get(name)
      const read = path === undefined ? null : await files.read(path)
      if (read === null || path === undefined) return null
      return { ...read, path: name, text: path.endsWith('.md') ? read.text : `# ${path}\n\n\`\`\`ts\n${read.text}\`\`\`\n` }
    }
  }
}
