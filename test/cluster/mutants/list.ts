// What a careful implementation may still get wrong, each a change of one place of the compiled
// library, and the scenario that must notice.

export interface Mutant {
  readonly name: string
  /** Below lib. */
  readonly file: string
  /** Found exactly once. */
  readonly snippet: string
  readonly replacement: string
  readonly scenario: string
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'no fence: a write replaces a newer one',
    file: 'cache/redis-tier.js',
    snippet: "if kind == 'hash' and isNewer() then return 0 end\nif kind ~= 'hash' and",
    replacement: "if kind ~= 'hash' and",
    scenario: 'anOlderWriteComesLate'
  },
  {
    name: 'no resync: what was said while nobody heard is not looked up',
    file: 'cluster/redis.js',
    snippet: 'await this.#lookUp();',
    replacement: 'this.#applied = { epoch, id: "" };',
    scenario: 'anOrderWhileCutOff'
  },
  {
    name: 'no lock: a lease is always granted',
    file: 'cluster/redis-leases.js',
    snippet: "then return { 'elsewhere', left } end",
    replacement: 'then left = 0 end',
    scenario: 'twoWantToRender'
  },
  {
    name: 'no single-flight: every visitor causes a render',
    file: 'cache/cache.js',
    snippet: 'const joined = this.#joinable(source, plan.isForced);',
    replacement: 'const joined = undefined;',
    scenario: 'manyWantAPageThatFails'
  },
  {
    name: 'a lease is released by whoever had it once',
    file: 'cluster/redis-leases.js',
    snippet: "local isMine = type(value) == 'string' and string.sub(value, 1, #mine) == mine",
    replacement: 'local isMine = true',
    scenario: 'anOldHolderReleases'
  },
  {
    name: 'files are written in place',
    file: 'cache/atomic-file.js',
    snippet: 'await rename(temporary, file);',
    replacement: "await (await import('node:fs/promises')).copyFile(temporary, file); await unlink(temporary);",
    scenario: 'aFileIsReplacedWhileItIsRead'
  },
  {
    name: 'ttl counts from when an entry was loaded',
    file: 'cache/tiers.js',
    snippet: '...deadlines(renderedAt === entry.renderedAt ? entry : { ...entry, renderedAt })',
    replacement: '...deadlines({ ...entry, renderedAt: this.#options.clock() })',
    scenario: 'anEntryIsLoadedLate'
  },
  {
    name: 'a visitor after an order joins a render from before it',
    file: 'cache/cache.js',
    snippet: "!isForced && this.#tiers.marks.judge({ epoch, incarnation, tags }).kind === 'none'",
    replacement: '!isForced',
    scenario: 'anOrderDuringARender'
  },
  {
    name: 'a render starts from the local epoch',
    file: 'cluster/redis-leases.js',
    snippet: 'epoch: Math.max(Number(a), epoch)',
    replacement: 'epoch',
    scenario: 'redisHasCountedOn'
  },
  {
    name: 'a local order raises nothing',
    file: 'cluster/redis.js',
    snippet: 'this.#generation = Math.min(this.#generation + 1, GENERATIONS - 2);',
    replacement: '',
    scenario: 'anOrderWithoutRedis'
  },
  {
    name: 'no marks are written back',
    file: 'cluster/redis.js',
    snippet: 'if (!isReadOnly && held.length > 0)',
    replacement: 'if (false)',
    scenario: 'redisForgetsAnOrder'
  },
  {
    name: 'another life of Redis is not noticed',
    file: 'cluster/redis.js',
    snippet: 'if (incarnation !== this.#incarnation)\n                await this.#adopt',
    replacement: 'if (this.#incarnation === undefined)\n                await this.#adopt',
    scenario: 'redisForgetsItself'
  },
  {
    name: 'what could not be replaced is believed',
    file: 'cache/shared-tier.js',
    snippet: 'this.#doubts.set(name, { version, isClaimed });',
    replacement: '',
    scenario: 'aWriteFails'
  }
]
