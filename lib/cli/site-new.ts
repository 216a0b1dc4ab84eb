import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { CliError } from './cli-error.js'
import { parseFlags } from './flags.js'

export const siteNewUsage = `Usage: fastify-isr site new "Title" [flags]

Writes a new Markdown file with front matter: title, today's date, and a summary to fill in.

      --dir <folder>     where it goes (default: the only folder in site/content/)
      --date <date>      another date than today, such as 2026-02-25

Exit codes: 0 written; 2 wrong usage, or the file is there already (it is left alone).
`

const FLAGS = { dir: { type: 'string' }, date: { type: 'string' } } as const
/** Bytes: names of files have 255. */
const LONGEST_SLUG = 200
const CONTENT = path.join('site', 'content')

export async function siteNew (args: string[]): Promise<number> {
  const { values, positionals } = parseFlags('site new', args, FLAGS)
  const hint = 'Usage: fastify-isr site new "Title" [--dir site/content/blog]'
  const [title, ...others] = positionals
  if (title === undefined || title.trim() === '') throw new CliError('site new: which title?', { hint })
  if (others.length > 0) throw new CliError(`site new: one title, please, in quotes; got ${positionals.join(', ')}`, { hint })
  const slug = slugOf(title)
  if (slug === '') throw new CliError(`site new: no file name can be made of '${title}': ${/[\p{L}\p{N}]/u.test(title) ? 'its first word is too long' : 'it has no letter or digit'}`, { hint })
  const dir = values.dir ?? await onlyCollection(hint)
  if (values.dir !== undefined && existsSync(CONTENT) && !existsSync(path.dirname(path.resolve(dir)))) throw new CliError(`site new: there is no folder ${path.dirname(dir)}`, { hint })
  const file = path.join(dir, `${slug}.md`)
  await mkdir(dir, { recursive: true })
  try {
    // 'wx': what is there stays, also if it came this moment.
    await writeFile(file, postText(title.trim(), values.date === undefined ? today() : checkDate(values.date)), { flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new CliError(`site new: ${file} is there already; it is left as it is`, { hint: 'Choose another title, or edit that file.' })
    throw error
  }
  process.stdout.write(`${file}\n`)
  return 0
}

/**
 * Lower case; what is neither letter nor digit becomes one dash, none at the ends. Latin letters lose their accents;
 * in other scripts these are no decoration.
 */
export function slugOf (title: string): string {
  const words = title.normalize('NFKD').replace(/(?<=\p{Script=Latin}\p{M}*)\p{M}/gu, '').normalize('NFC').toLowerCase().match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
  let slug = ''
  for (const word of words) {
    const longer = slug === '' ? word : `${slug}-${word}`
    if (Buffer.byteLength(longer) > LONGEST_SLUG) break
    slug = longer
  }
  return slug
}

function postText (title: string, date: string): string {
  return `---\ntitle: ${quoted(title)}\ndate: ${date}\nsummary: ""\n---\n\n`
}

/** Front matter takes most texts as they are. */
function quoted (title: string): string {
  const isPlain = /^[\p{L}\p{N}][^\n\r]*$/u.test(title) && !/^(?:true|false|yes|no|null)$/i.test(title) && !/\s#/.test(title)
  return isPlain ? title : JSON.stringify(title.replace(/\s+/g, ' '))
}

/** Where the author is, not at Greenwich. */
function today (): string {
  const now = new Date()
  const two = (number: number): string => String(number).padStart(2, '0')
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`
}

function checkDate (value: string): string {
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(value) && new Date(value).toJSON()?.startsWith(value) === true
  if (isDate) return value
  throw new CliError(`--date must be a date such as 2026-02-25, got '${value}'`)
}

async function onlyCollection (hint: string): Promise<string> {
  const entries = existsSync(CONTENT) ? await readdir(CONTENT, { withFileTypes: true }) : []
  const folders = entries.filter(entry => entry.isDirectory()).map(entry => path.join(CONTENT, entry.name)).sort()
  const [only] = folders
  if (only !== undefined && folders.length === 1) return only
  throw new CliError(`site new: which folder? ${folders.length === 0 ? `There is none in ${CONTENT}` : `There are ${folders.join(', ')}`}: say --dir`, { hint })
}
