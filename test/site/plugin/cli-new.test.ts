import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { slugOf } from '../../../lib/cli/site-new.js'
import { parseFrontMatter } from '../../../lib/site/content/front-matter.js'
import { runCommand, type CommandResult } from '../../helpers/command.js'

const main = fileURLToPath(new URL('../../../lib/cli/main.js', import.meta.url))
const create = (cwd: string, ...args: string[]): Promise<CommandResult> => runCommand(process.execPath, [main, 'site', 'new', ...args], cwd)
const PROJECT = { site: { content: { blog: {} } } }

t.test('a slug is lower case, one dash for all that is neither letter nor digit, and none at its ends', async (t) => {
  t.equal(slugOf('Hello, World!'), 'hello-world')
  t.equal(slugOf('  C++ & Node.js 20: what now?  '), 'c-node-js-20-what-now')
  t.equal(slugOf('Über Größe'), 'uber-große')
  t.equal(slugOf('Ｆｕｌｌ ﬁne'), 'full-fine')
  t.equal(slugOf('日本語、タイトル！'), '日本語-タイトル')
  t.equal(slugOf('한국어 हिन्दी Ёлка'), '한국어-हिन्दी-ёлка'.normalize())
  t.equal(slugOf('../x'), 'x')
  t.equal(slugOf('… — !'), '')
})

t.test('a slug has room in the name of a file, and ends with a word', async (t) => {
  t.equal(slugOf(`${'word '.repeat(99)}`), Array.from({ length: 40 }, () => 'word').join('-'))
  t.ok(Buffer.byteLength(slugOf('日本 '.repeat(99))) <= 200)
})

t.test('a title makes a file with front matter and the date of today', async (t) => {
  const cwd = t.testdir(PROJECT)
  const before = new Date()
  const { code, stdout } = await create(cwd, 'Bespoke: a "quoted" title')
  t.equal(code, 0)
  t.equal(stdout, `${path.join('site', 'content', 'blog', 'bespoke-a-quoted-title.md')}\n`)
  const text = await readFile(path.join(cwd, stdout.trim()), 'utf8')
  const { data } = parseFrontMatter(text, 'new.md')
  t.equal(data['title'], 'Bespoke: a "quoted" title')
  const days = [before, new Date()].map(day => [day.getFullYear(), day.getMonth() + 1, day.getDate()].map(part => String(part).padStart(2, '0')).join('-'))
  t.ok(days.includes(String(data['date'])), 'also at midnight')
})

t.test('titles that front matter would read as something else are quoted', async (t) => {
  const cwd = t.testdir(PROJECT)
  for (const title of ['"Quoted" first', '[list]', 'True', '# 1 of all', 'a # b', '| pipe', "'single'"]) {
    const { stdout } = await create(cwd, title)
    const { data } = parseFrontMatter(await readFile(path.join(cwd, stdout.trim()), 'utf8'), 'new.md')
    t.equal(data['title'], title)
  }
})

t.test('a file that is there already is left as it is', async (t) => {
  const cwd = t.testdir({ site: { content: { blog: { 'hello.md': 'mine' } } } })
  const { code, stderr } = await create(cwd, 'Hello')
  t.equal(code, 2)
  t.match(stderr, /hello\.md is there already/)
  t.equal(await readFile(path.join(cwd, 'site/content/blog/hello.md'), 'utf8'), 'mine')
})

t.test('no title, two titles, no usable title, a wrong date and an unclear folder are usage errors', async (t) => {
  const cwd = t.testdir({ site: { content: { blog: {}, docs: {} } } })
  for (const [args, message] of [
    [[], /which title\?/],
    [['  '], /which title\?/],
    [['Two', 'titles'], /one title, please, in quotes; got Two, titles/],
    [['!?'], /no letter or digit/],
    [['x'.repeat(300)], /its first word is too long/],
    [['Hello', '--date', '2026-02-30', '--dir', 'site/content/blog'], /--date must be a date/],
    [['Hello'], /which folder\? There are site\/content\/blog, site\/content\/docs: say --dir/],
    [['Hello', '--fast'], /unknown option '--fast'/]
  ] as const) {
    const { code, stderr } = await create(cwd, ...args)
    t.equal(code, 2)
    t.match(stderr, message)
  }
  t.equal((await create(cwd, 'Hello', '--dir', 'site/content/docs')).code, 0)
  t.ok(await stat(path.join(cwd, 'site/content/docs/hello.md')))
})
