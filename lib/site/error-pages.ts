import type { TemplateProblem } from './template/index.js'

/** What a visitor sees where the site has no page of its own for it. Nothing of the cause. */
const TEXTS: Record<number, readonly [title: string, text: string]> = {
  404: ['Page not found', 'There is no page at this address.'],
  500: ['Something went wrong', 'The page can not be shown at the moment. Please try again later.']
}

/** Complete, small, and without anything that a strict policy would refuse. */
export function builtInPage (status: number, more = ''): string {
  const [title, text] = TEXTS[status] ?? ['Error', 'The page can not be shown.']
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
</head>
<body>
<main>
<h1>${title}</h1>
<p>${text}</p>
${more}</main>
</body>
</html>
`
}

/** For the developer, in development: what went wrong and where. */
export function problemAsHtml ({ message, file, line, column, frame }: TemplateProblem): string {
  return `<p><strong>${escapeHtml(message)}</strong></p>\n<p>${escapeHtml(`${file}:${line}:${column}`)}</p>\n<pre>${escapeHtml(frame)}</pre>\n`
}

function escapeHtml (text: string): string {
  return text.replace(/[&<>"']/g, char => `&#${char.charCodeAt(0)};`)
}
