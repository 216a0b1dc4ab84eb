// What the tests read out of the Dockerfile, so that they run what an engine would run. Knows the
// forms that this one has: JSON commands, ARG and ENV with plain values.
import { readFile } from 'node:fs/promises'

export interface Instruction {
  readonly name: string
  readonly text: string
}

export interface Dockerfile {
  /** By stage. */
  readonly stages: readonly (readonly Instruction[])[]
  /** Of the last stage. */
  readonly env: Readonly<Record<string, string>>
  readonly command: readonly string[]
  readonly healthcheck: readonly string[]
  readonly user: string
}

export async function readDockerfile (file: string): Promise<Dockerfile> {
  const source = await readFile(file, 'utf8')
  const lines = source.split('\n').filter(line => !line.trimStart().startsWith('#')).join('\n').replaceAll('\\\n', ' ').split('\n')
  const stages: Instruction[][] = [[]]
  for (const line of lines) {
    const [, name, text] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? []
    if (name === undefined || text === undefined) continue
    if (name === 'FROM') stages.push([])
    stages.at(-1)?.push({ name, text: text.trim() })
  }
  const last = stages.at(-1) ?? []
  const all = (wanted: string): string[] => last.filter(({ name }) => name === wanted).map(({ text }) => text)
  const one = (wanted: string): string => {
    const [text, ...others] = all(wanted)
    if (text === undefined || others.length > 0) throw new Error(`the last stage has ${others.length + 1} or no ${wanted}`)
    return text
  }
  const args = Object.fromEntries(all('ARG').map(assignment))
  const env = Object.fromEntries(one('ENV').split(/\s+/).map(assignment)
    .map(([name, value]) => [name, value.replace(/\$(\w+)/g, (_, arg: string) => args[arg] ?? '')]))
  return {
    stages: stages.slice(1),
    env,
    command: JSON.parse(one('CMD')) as string[],
    healthcheck: JSON.parse(one('HEALTHCHECK').replace(/^.*?\bCMD\s+/, '')) as string[],
    user: one('USER')
  }
}

function assignment (text: string): [string, string] {
  const at = text.indexOf('=')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}
