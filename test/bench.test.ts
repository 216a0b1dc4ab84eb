import { ChildProcess, execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fastify from 'fastify'
import isr from 'fastify-isr'
import t from 'tap'
import { compare, contend } from '../bench/compare.js'
import { parseWrk, wrkScript, type Generator } from '../bench/load.js'
import type { Sample } from '../bench/measure.js'
import { parseOptions, SUITES } from '../bench/options.js'
import { productsOf, renderPage } from '../bench/page.js'
import { parseMachine, parsePeak, parseStat, ticksOf } from '../bench/proc.js'
import { ratioOf, summarise, type Measured } from '../bench/report.js'
import { median, medianRatio, rotate } from '../bench/rounds.js'
import { SETTING } from '../bench/running.js'
import { lengthen } from '../bench/known-site.js'
import { quantile, summariseLatencies } from '../bench/statistics.js'
import { emptyResult, type SuiteResult } from '../bench/suite.js'
import { judge } from '../bench/targets.js'
import { evaluate, parse } from '../bench/template.js'
import type { Verdict } from '../bench/verdict.js'

const RUNNER = fileURLToPath(new URL('../bench/run.js', import.meta.url))

function sample (requestsPerSecond: number, cpuMicrosecondsPerRequest: number, foreign = 0): Sample {
  return {
    requestsPerSecond,
    cpuMicrosecondsPerRequest,
    serverBusy: 1,
    p50Milliseconds: 1,
    p99Milliseconds: 2,
    meanMilliseconds: 1,
    stdevMilliseconds: 0.5,
    maxMilliseconds: 3,
    foreign
  }
}

t.test('medians, quantiles and ratios', async t => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 3, 2]), 2.5)
  t.equal(quantile([1, 2, 3, 4], 0.99), 4)
  t.equal(medianRatio([10, 20, 90], [10, 10, 30]), 2)
  t.same(rotate(['a', 'b', 'c'], 4), ['b', 'c', 'a'])
  t.same(summariseLatencies([2, 4, 4, 4, 5, 5, 7, 9]), { p50: 5, p99: 9, mean: 5, stdev: 2, max: 9 })
})

t.test('ratios are taken within rounds, and noisy rounds are counted', async t => {
  const measured: Measured[] = [
    { name: 'raw', title: 'raw', rounds: [sample(100, 10), sample(10, 100, 0.5), sample(100, 10)] },
    { name: 'own', title: 'own', rounds: [sample(50, 20), sample(5, 200, 0.5), sample(60, 15)] }
  ]
  t.equal(ratioOf(measured, 'own', 'raw', 'requestsPerSecond'), 0.5)
  t.equal(ratioOf(measured, 'own', 'raw', 'cpuMicrosecondsPerRequest'), 2)
  t.ok(Number.isNaN(ratioOf(measured, 'own', 'nobody', 'requestsPerSecond')))
  const [, own] = summarise(measured, 'raw')
  t.match(own, { ratios: { requestsPerSecond: 0.5 }, median: { requestsPerSecond: 50 }, noisyRounds: 1 })
  t.equal(summarise(measured, 'nobody')[0]?.ratios, null)
})

t.test('the stat of a process, whatever its name', async t => {
  const line = (pid: number, name: string, parent: number, times: string): string =>
    `${pid} (${name}) S ${parent} 1 1 0 -1 4194560 100 0 0 0 ${times} 20 0 11 0 5 6 7\n`
  t.same(parseStat(line(7, 'a) b (c', 1, '10 5 3 2')), { pid: 7, parent: 1, own: 15, ended: 5 })
  const all = [line(7, 'node', 1, '10 5 3 2'), line(8, 'worker', 7, '1 1 0 0'), line(9, 'deep', 8, '4 0 0 1'), line(10, 'other', 1, '99 99 0 0')].map(parseStat)
  t.equal(ticksOf(7, all), 20 + 2 + 5)
  t.equal(ticksOf(404, all), 0)
})

t.test('the stat of a machine, and the peak of a process', async t => {
  t.same(parseMachine('cpu  10 1 5 80 4 2 1 3 0 0\ncpu0 1 2 3\n'), { busy: 22, total: 106 })
  t.equal(parsePeak('Name:\tnode\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\n'), 2048 * 1024)
  t.ok(Number.isNaN(parsePeak('Name:\tnode\n')))
})

t.test('wrk: what it is told, and what it tells', async t => {
  const one = wrkScript({ request: { method: 'GET', headers: { 'if-none-match': '"a"' }, paths: ['/'], status: 304 } })
  t.match(one, 'wrk.headers["if-none-match"] = "\\"a\\""')
  t.notMatch(one, 'paths')
  t.match(wrkScript({ request: { method: 'GET', headers: {}, paths: ['/a', '/b'], status: 200 } }), 'paths = { "/a", "/b" }')
  t.same(parseWrk('Running\n@1000 2000000 0 500 1500 600.5 100.25 4000\n'),
    { requests: 1000, seconds: 2, errors: 0, p50: 0.5, p99: 1.5, mean: 0.6005, stdev: 0.10025, max: 4 })
  t.throws(() => parseWrk('unable to connect'), /no figures/)
})

t.test('options', async t => {
  t.match(parseOptions([]), { suites: [...SUITES], rounds: 5, seconds: 2, only: null, install: true })
  t.match(parseOptions(['hit', '--only', 'raw,memory-hit', '--rounds', '3']), { suites: ['hit'], rounds: 3, only: ['raw', 'memory-hit'] })
  for (const args of [['nothing'], ['--rounds', '0'], ['--rounds', '1.5'], ['--seconds', 'a'], ['--only', 'nobody'], ['--nice', '99']]) {
    t.throws(() => parseOptions(args), /must be|there are|knows/, args.join(' '))
  }
})

t.test('the template is the page', async t => {
  const { TEMPLATE } = await import('../bench/template.js')
  const products = productsOf(1).map(product => ({ ...product, price: product.price.toFixed(2) }))
  t.equal(evaluate(parse(TEMPLATE), { products }), renderPage(productsOf(1)))
  t.throws(() => parse('{{name'), /not closed/)
})

t.test('a target is met, missed or not measured', async t => {
  const measured: Measured[] = [
    { name: 'raw', title: 'raw', rounds: [sample(100, 10)] },
    { name: 'plain', title: 'plain', rounds: [sample(90, 8)] },
    { name: 'memory-hit', title: 'hit', rounds: [sample(100, 8.4)] }
  ]
  const hit: SuiteResult = { ...emptyResult('hit'), tables: [{ name: 'minimal', title: '', reference: '', rows: summarise(measured, 'raw'), measured }] }
  const verdicts = judge([hit])
  const find = (text: string): Verdict | undefined => verdicts.find(({ what }) => what.includes(text))
  t.match(find('default lane, CPU × raw'), { target: 1, measured: '0.84', met: true })
  t.match(find('default lane, CPU × plain'), { required: '≤ 1', measured: '1.05', met: false })
  t.match(find('express lane, CPU × raw'), { measured: 'not measured', met: null })
  t.same([...new Set(verdicts.map(({ target }) => target))], [1, 2, 3, 4, 5, 6, 7, 8])
})

t.test('a run of one short round prints JSON', async t => {
  const folder = t.testdir()
  const [out, markdown] = [join(folder, 'all.json'), join(folder, 'all.md')]
  const { stdout } = await promisify(execFile)(process.execPath,
    [RUNNER, 'quick', '--only', 'raw,memory-hit', '--rounds', '1', '--seconds', '0.2', '--patience', '0', '--json', '--out', out, '--markdown', markdown])
  t.match(JSON.parse(await readFile(out, 'utf8')), { machine: { node: process.version }, results: [{ suite: 'quick', missing: [] }] })
  t.match(await readFile(markdown, 'utf8'), /\| --- \| --: \|[^]*\n\| raw node:http \| [\d,]+ \| 1\.00 \|[^]*npm run bench -- quick --only/)
  const { results: [result], machine, versions } = JSON.parse(stdout) as { results: SuiteResult[], machine: object, versions: object }
  t.match(machine, { node: process.version })
  t.match(versions, { fastify: /^\d/, autocannon: /^\d/ })
  t.same(result?.tables[0]?.rows.map(({ name }) => name), ['raw', 'memory-hit'])
  for (const { median, ratios } of result?.tables[0]?.rows ?? []) {
    t.ok(median.requestsPerSecond > 0)
    t.ok(ratios !== null && ratios.requestsPerSecond > 0)
  }
})

t.test('a file that cannot be written ends a run before it begins', async t => {
  await t.rejects(promisify(execFile)(process.execPath, [RUNNER, 'quick', '--out', join(t.testdir(), 'nowhere/all.json')]), { code: 1, stderr: /ENOENT/ })
})

t.test('one that fails is asked again, and costs the others nothing', async t => {
  const asked: string[] = []
  const generator: Generator = {
    name: 'own client',
    version: '1',
    async run ({ origin }) {
      asked.push(origin)
      const errors = origin === 'broken' || (origin === 'once' && asked.filter(name => name === origin).length === 2) ? 1 : 0
      return { requests: 100_000, seconds: 1, errors, p50: 1, p99: 2, mean: 1, stdev: 1, max: 3 }
    },
    stop: async () => {}
  }
  const contenders = ['broken', 'once', 'good'].map(name => contend({
    name, title: name, origin: name, paths: ['/'], setting: SETTING, process: Object.assign(new ChildProcess(), { pid: process.pid }), version: null, stop: async () => {}
  }))
  const failed: string[] = []
  const measured = await compare(contenders, { rounds: 3, seconds: 1, connections: 1, generator, onFailure: ({ name }) => { failed.push(name) } })
  t.same(failed, ['broken'])
  t.same(measured.map(({ name, rounds }) => [name, rounds.length]), [['once', 3], ['good', 3]])
  t.equal(asked.filter(name => name === 'broken').length, 2)
  await t.rejects(compare(contenders, { rounds: 1, seconds: 1, connections: 1, generator }), /broken: 1 requests failed/)
})

t.test('a longer manifest has the form of the one it was: others of its size are not read', async t => {
  const dir = t.testdir()
  const app = fastify()
  await app.register(isr, { dir })
  app.get('/:id', { config: { prerender: { paths: ['/a', '/b'] } } }, async request => request.url)
  await app.ready()
  await app.isr.prerender()
  await app.close()
  const file = join(dir, '.isr/manifest.json')
  const built = await readFile(file, 'utf8')
  await lengthen(dir, 2, 2)
  t.equal(await readFile(file, 'utf8'), built)
  await lengthen(dir, 2, 3)
  t.match((await readFile(file, 'utf8')).split('\n').at(-4), /^ {4}\{"key":"\/articles\/an-article-of-the-site-0000002"/)
})

t.test('a name that is not known ends a run before it begins', async t => {
  await t.rejects(promisify(execFile)(process.execPath, [RUNNER, 'nothing']), { code: 2, stderr: /there are the suites hit/ })
})
