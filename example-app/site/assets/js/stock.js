const place = document.querySelector('[data-now]')
const response = await fetch(place.dataset.now, { cache: 'no-store' })
const { pages, ...facts } = await response.json()

for (const cell of place.querySelectorAll('[data-fact]')) cell.textContent = facts[cell.dataset.fact]
for (const { path, state } of pages) {
  const cell = place.querySelector(`[data-page="${path}"]`)
  cell.textContent = state ?? 'not kept'
  if (state !== null) cell.dataset.state = state
}
