const modes = ['prerendered', 'hydrated', 'isr', 'dynamic']
const rounds = 20

const button = document.querySelector('[data-measure]')
const progress = document.querySelector('[data-progress]')

async function once (mode) {
  const started = performance.now()
  const response = await fetch(`/compare/${mode}`, { cache: 'no-store' })
  await response.arrayBuffer()
  const milliseconds = performance.now() - started
  if (!response.ok) throw new Error(`/compare/${mode} answered ${response.status}`)
  return { milliseconds, cacheStatus: response.headers.get('cache-status') ?? 'none' }
}

async function measure () {
  const results = Object.fromEntries(modes.map(mode => [mode, { times: [], cacheStatus: 'none' }]))

  for (let round = 0; round <= rounds; round++) {
    // In turn, so that a slow moment of the machine does not fall on one mode alone.
    for (const mode of modes) {
      const { milliseconds, cacheStatus } = await once(mode)
      // Round 0 opens the connection and fills the cache; it would tell about neither mode.
      if (round > 0) results[mode].times.push(milliseconds)
      results[mode].cacheStatus = cacheStatus
    }
  }

  return modes.map(mode => {
    const times = results[mode].times.sort((a, b) => a - b)
    return { mode, median: quantile(times, 0.5), p95: quantile(times, 0.95), cacheStatus: results[mode].cacheStatus }
  })
}

function quantile (sorted, share) {
  const position = (sorted.length - 1) * share
  const below = Math.floor(position)
  const above = Math.ceil(position)
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below)
}

function show (results) {
  const dynamic = results.find(({ mode }) => mode === 'dynamic')
  const longest = Math.max(...results.map(({ p95 }) => p95))
  const percent = milliseconds => `${(milliseconds / longest * 100).toFixed(2)}%`

  for (const { mode, median, p95, cacheStatus } of results) {
    const ratio = dynamic.median / median
    const against = mode === 'dynamic' ? '1×' : `${ratio.toFixed(ratio < 10 ? 1 : 0)}× faster`

    const bar = document.querySelector(`[data-bars] [data-mode="${mode}"]`)
    bar.querySelector('.bar').setAttribute('width', percent(median))
    bar.querySelector('.p95').setAttribute('x1', percent(p95))
    bar.querySelector('.p95').setAttribute('x2', percent(p95))
    const note = document.createElement('span')
    note.textContent = against
    bar.querySelector('[data-bar-value]').replaceChildren(`${median.toFixed(1)} ms`, note)

    const row = document.querySelector(`[data-results] [data-mode="${mode}"]`)
    const cells = { median: `${median.toFixed(1)} ms`, p95: `${p95.toFixed(1)} ms`, ratio: against, 'cache-status': cacheStatus }
    for (const [name, text] of Object.entries(cells)) row.querySelector(`[data-cell="${name}"]`).textContent = text
  }

  const prerendered = results.find(({ mode }) => mode === 'prerendered')
  return `Prerendered ${prerendered.median.toFixed(1)} ms, dynamic ${dynamic.median.toFixed(1)} ms: ${Math.round(dynamic.median / prerendered.median)} times as fast.`
}

async function run () {
  // Not `disabled`: that would throw the keyboard focus away.
  if (button.getAttribute('aria-disabled') === 'true') return
  button.setAttribute('aria-disabled', 'true')
  progress.textContent = `Measuring: ${rounds} rounds of ${modes.length} requests …`
  try {
    progress.textContent = show(await measure())
  } catch (error) {
    progress.textContent = `The measurement failed: ${error.message}`
  } finally {
    button.removeAttribute('aria-disabled')
  }
}

button.hidden = false
button.addEventListener('click', run)
await run()
