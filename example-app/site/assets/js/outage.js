const place = document.querySelector('[data-source]')

async function ask () {
  const response = await fetch('/outage/source', { cache: 'no-store' })
  const { secondsOff } = await response.json()
  const text = secondsOff > 0
    ? 'The source is off. It switches itself on again after two minutes.'
    : 'The source is on.'
  if (place.textContent !== text) place.textContent = text
  place.dataset.off = secondsOff > 0
  if (secondsOff > 0) setTimeout(ask, 2000)
}

await ask()
