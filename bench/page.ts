// The page that every candidate answers: HTML rendered from data with every value escaped, as a
// template engine does it.

export interface Product {
  name: string
  maker: string
  description: string
  price: number
}

/** How many products make a page of about that many kilobytes; 10.6 is the page of nearly all suites. */
const PRODUCTS: Record<string, number> = { 1: 3, 10.6: 45, 100: 430 }

export const KILOBYTES = 10.6

export function productsOf (kilobytes: number): Product[] {
  const count = PRODUCTS[kilobytes] ?? Math.max(1, Math.round(kilobytes * 4.3))
  return Array.from({ length: count }, (_, index) => ({
    name: `Lamp N° ${index + 1} "Ångström"`,
    maker: index % 3 === 0 ? 'Bright & Sons' : 'Léon <Lumière>',
    description: `A lamp for desk ${index + 1}: warm, quiet & dimmable, with a cable of ${2 + index % 4} metres.`,
    price: 19 + index * 1.5
  }))
}

const products = productsOf(KILOBYTES)

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

export function escape (text: string): string {
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

export function renderPage (list: Product[] = products): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Lamps</title>
    <meta name="description" content="Lamps for every desk">
  </head>
  <body>
    <h1>Lamps</h1>
    <ul>${list.map(renderProduct).join('')}
    </ul>
  </body>
</html>
`
}
