import { ageInWords, read } from './_reading.js'

// One after the other: in parallel they would wait for each other and the times would mean nothing.
for (const place of document.querySelectorAll('[data-reading]')) {
  const { age, state, words, milliseconds, serverTook } = await read(place.dataset.reading)
  const detail = document.createElement('span')
  detail.className = 'state'
  detail.dataset.state = state
  detail.textContent = words
  const numbers = document.createElement('span')
  numbers.textContent = [
    ...age === null ? [] : [`age ${ageInWords(age)}`],
    `there in ${milliseconds.toFixed(1)} ms`,
    ...serverTook === null ? [] : [`of which the server took ${serverTook} ms`]
  ].join(', ')
  place.append(detail, numbers)
}
