import { align } from '../bench/report.js'
import { SCHEMES, type Visited } from './axe.js'
import { CATEGORIES, LEAST, missed, type Scores } from './verdict.js'

/** Of selectors that fail one rule, so many are printed. */
const SHOWN = 5

export function formatScores (all: readonly Scores[]): string {
  const head = ['Lighthouse', ...CATEGORIES, 'LCP', 'TBT', 'CLS']
  const rows = all.map(({ path, scores, metrics: { largestContentfulPaint, totalBlockingTime, layoutShift } }) => [
    path, ...CATEGORIES.map(category => String(scores[category])),
    `${(largestContentfulPaint / 1000).toFixed(2)} s`, `${Math.round(totalBlockingTime)} ms`, layoutShift.toFixed(3)
  ])
  return [align([head, ...rows]), ...all.flatMap(failuresOf)].join('\n')
}

/** What a page lost points for, also if it reached what it must. */
function failuresOf ({ path, failed, ...rest }: Scores): string[] {
  const below = missed({ path, failed, ...rest })
  return failed.map(({ category, name, title, score }) => {
    const isFatal = below.includes(category)
    return `${isFatal ? '✖' : ' '} ${path}  ${category}  ${name} (${score.toFixed(2)}): ${title}${isFatal ? `; ${category} must reach ${LEAST[category]}` : ''}`
  })
}

export function formatVisits (all: readonly Visited[]): string {
  const paths = [...new Set(all.map(({ path }) => path))]
  const rows = paths.map(path => [path, ...SCHEMES.map(scheme => {
    const visited = all.find(visit => visit.path === path && visit.scheme === scheme)
    return visited === undefined ? '-' : String(visited.violations.length)
  })])
  return [align([['axe: violations', ...SCHEMES], ...rows]), ...all.flatMap(violationsOf)].join('\n')
}

function violationsOf ({ path, scheme, violations }: Visited): string[] {
  return violations.flatMap(({ rule, help, where }) => [
    `✖ ${path}  ${scheme}  ${rule}: ${help}`,
    ...where.slice(0, SHOWN).map(one => `    ${one}`),
    ...where.length > SHOWN ? [`    and ${where.length - SHOWN} more`] : []
  ])
}
