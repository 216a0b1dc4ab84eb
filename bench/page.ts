// The page that every candidate answers: 10.6 KB of HTML, rendered from data with every value
// escaped, as a template engine does it.

interface Product {
  name: string
  maker: string
  description: string
  price: number
}

const products: Product[] = Array.from({ length: 45 }, (_, index) => ({
  name: `Lamp N° ${index + 1} "Ångström"`,
  maker: index % 3 === 0 ? 'Bright & Sons' : 'Léon <Lumière>',
  description: `A lamp for desk ${index + 1}: warm, quiet & dimmable, with a cable of ${2 + index % 4} metres.`,
  price: 19 + index * 1.5
}))

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escape (text: string): string {
  return text.replace(/[&<>"']/g, character => ENTITIES[character] ?? character)
}

function renderProduct ({ name, maker, description, price }: Product): string {
  return `
      <li class="product">
        <h2>${escape(name)}</h2>
        <p>${escape(description)}</p>
        <p>by ${escape(maker)}, ${escape(price.toFixed(2))} €</p>
      </li>`
}

export function renderPage (): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Lamps</title>
    <meta name="description" content="Lamps for every desk">
  </head>
  <body>
    <h1>Lamps</h1>
    <ul>${products.map(renderProduct).join('')}
    </ul>
  </body>
</html>
`
}
