import type { Source, SourceFile, SourceText } from '../../../types/site.js'

// Pages, partials and content are read through this one interface, and nothing
// else of the site knows where they are.
export type { Source, SourceFile, SourceText }
export { fileSource } from './file-source.js'
export { memorySource } from './memory-source.js'
export { mountedSource, type Mounts } from './mounted-source.js'
