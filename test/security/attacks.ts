import { HEADER_NAMES } from './header-names.js'
import { FAMILIES, HOST, type Family } from './reflecting-app.js'

/** In everything that an attack sends, and in nothing else. */
export const CANARY = 'kanarie'

export interface Attack {
  readonly name: string
  /** The page that it is after, which nobody has visited. */
  readonly path: string
  /** Requests as bytes, sent one after the other. */
  readonly blows: readonly string[]
}

interface Shape {
  method?: string
  target?: string
  version?: string
  /** Lines; null leaves Host out. */
  host?: string | string[] | null
  headers?: string[]
  body?: string
  /** Left out of requests whose point is how they end. */
  isClosed?: boolean
}

type Describe = (path: string, canary: string) => Shape | string | (Shape | string)[]

class Attacks {
  readonly list: Attack[] = []

  add (name: string, describe: Describe, family: Family = 'page'): void {
    const number = this.list.length
    const path = `/${family}/${family === 'status' ? '200/' : ''}p${number}`
    this.addAt(name, path, describe)
  }

  addAt (name: string, path: string, describe: Describe): void {
    const canary = `${CANARY}${this.list.length}`
    const blows = [describe(path, canary)].flat().map(blow => typeof blow === 'string' ? blow : bytesOf(path, blow))
    this.list.push({ name, path, blows })
  }
}

function bytesOf (path: string, { method = 'GET', target = path, version = 'HTTP/1.1', host = HOST, headers = [], body = '', isClosed = true }: Shape): string {
  const hosts = host === null ? [] : [host].flat().map(value => `Host: ${value}`)
  return [`${method} ${target} ${version}`, ...hosts, ...headers, ...(isClosed ? ['Connection: close'] : []), '', body].join('\r\n')
}

const STATUSES = ['throw', 201, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412, 413, 414, 416, 418, 421, 425, 429, 431, 451, 500, 501, 502, 503, 504, 505, 508, 599]

/** Every attack goes to a path of its own; the same list each time. */
export function makeAttacks (): Attack[] {
  const attacks = new Attacks()
  addHeaders(attacks)
  addQueries(attacks)
  addHosts(attacks)
  addFraming(attacks)
  addMethods(attacks)
  addPaths(attacks)
  addStatuses(attacks)
  addConditions(attacks)
  addCredentials(attacks)
  addRegenerations(attacks)
  addFloods(attacks)
  addMixtures(attacks)
  return attacks.list
}

const PLAIN_FAMILIES = FAMILIES.filter(family => family !== 'status')

function familyOf (index: number): Family {
  return PLAIN_FAMILIES[index % PLAIN_FAMILIES.length] ?? 'page'
}

const TELLING_HEADERS = (c: string): string[][] => [
  ['X-Forwarded-Proto: javascript'], [`X-Forwarded-Proto: https, ${c}`], [`X-Forwarded-Host: good.example, ${c}.example`], [`X-Forwarded-Host: ${c}.example`, 'X-Forwarded-Proto: https', 'X-Forwarded-Port: 1337'],
  [`X-Forwarded-Host: ${c}`, `X-Forwarded-Host: ${c}2`], [`X-Forwarded-Host: good.example:${c}`], [`X-Forwarded-Host: "><script>${c}</script>`], [`X-Forwarded-For: 127.0.0.1, ${c}`], ['X-Forwarded-For: 127.0.0.1'], [`X-Forwarded-For: ${'1.1.1.1, '.repeat(200)}${c}`],
  [`Forwarded: for=127.0.0.1;host=${c}.example;proto=https`], [`X-Original-URL: /account?${c}`], [`X-Rewrite-URL: /account?${c}`], [`X-Original-URL: /page/${c}`, `X-Rewrite-URL: /page/${c}`], [`X-HTTP-Method-Override: POST ${c}`], ['X-HTTP-Method-Override: DELETE', `X-C: ${c}`],
  [`X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware:${c}`], ['Next-Resume: 1', `X-C: ${c}`], [`X-Now-Route-Matches: 1=${c}`], [`X-Prerender: 1${c}`], [`X-ISR-Render: true; ${c}`], [`X-Naive-Render: ${c}`], [`X-Sveltekit-Pathname: /account/${c}`], [`X-Astro-Path: /account/${c}`], [`X_Astro_Path: /account/${c}`],
  ['Accept: application/json', `X-C: ${c}`], [`Accept: text/x-component, ${c}`], [`Accept: ${c}/*`], ['RSC: 1', `Next-Router-State-Tree: ${c}`], [`Accept-Language: de-${c}`], [`Accept-Language: ${c}`], ['Accept-Language: en', `Accept-Language: ${c}`], ['Accept-Encoding: br', `X-C: ${c}`], [`Accept-Encoding: ${c}`], ['Accept-Encoding: identity;q=0', `X-C: ${c}`], ['Accept-Encoding: gzip;q=1, *;q=0', `X-C: ${c}`],
  [`X_Forwarded_Host: ${c}`], [`x-forwarded-host:${c}`], [`X-FORWARDED-HOST:    ${c}   `], [`X-Forwarded-Host\t: ${c}`], [`X-Forwarded-Host: a\r\n ${c}`], [`X-C: \x07${c}`], [`X-C: \x00${c}`], [`X-C: ${c}\nX-D: ${c}`], [`X-C: ${c}\rX-D: ${c}`], [` X-C: ${c}`], [`X-C ${c}`], [`: ${c}`], [`X-É: ${c}`], [`X-C: é${c}`],
  [`X-C: ${c}${'c'.repeat(12_000)}`], [`X-C: ${c}${'c'.repeat(40_000)}`], [...Array.from({ length: 150 }, (_, i) => `X-C${i}: ${c}`)], [...Array.from({ length: 2500 }, (_, i) => `X${i}: ${c}`)],
  [`Connection: ${c}`], [`Connection: close, X-Forwarded-Host, ${c}`], [`Connection: keep-alive, Host, ${c}`], ['Connection: upgrade', `Upgrade: ${c}`], ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', `HTTP2-Settings: ${c}`], ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${c}`], [`Keep-Alive: ${c}`], [`TE: trailers, ${c}`], [`Trailer: ${c}`], [`Expect: 100-continue-${c}`], [`Expect: ${c}`], [`Via: 1.1 ${c}`], ['Max-Forwards: 0', `X-C: ${c}`],
  [`Cache-Control: no-cache, ${c}`], ['Cache-Control: no-store', `X-C: ${c}`], ['Cache-Control: only-if-cached', `X-C: ${c}`], [`Pragma: no-cache, ${c}`], [`Surrogate-Capability: ${c}="ESI/1.0"`], [`X-Login: ${c}`], [`Origin: https://${c}.example`], ['Origin: null', `X-C: ${c}`], [`Referer: https://${c}.example/`], [`User-Agent: ${c}`], ['User-Agent: lightMyRequest', `X-C: ${c}`], ['User-Agent: fastify-isr', `X-C: ${c}`], [`X-Request-Id: ${c}`], ['__proto__: 1', `constructor: ${c}`]
]

function addHeaders (attacks: Attacks): void {
  HEADER_NAMES.forEach((name, index) => attacks.add(`header ${name}`, (_path, c) => ({ headers: [`${name}: ${c}.evil.example`] }), familyOf(index)))
  TELLING_HEADERS('').forEach((lines, index) => {
    const isClosed = !lines.some(line => line.startsWith('Connection:'))
    attacks.add(`headers ${lines.join(' | ').slice(0, 80)}`, (_path, c) => ({ headers: TELLING_HEADERS(c)[index] ?? [], isClosed }), familyOf(index))
  })
}

const QUERIES = `utm_source= utm_medium= utm_campaign= utm_content= utm_term= fbclid= gclid= msclkid= ref= _= cb= v= x[]= x[a]= x[a][b]= x.y= __proto__[x]= constructor[prototype][x]= __proto__.x= prototype=
  __pathname=/account/ x-invoke-path=/account/ _rsc= __nextDataReq=1& _next= __WB_REVISION__= _data= _payload.json? __flight__= _escaped_fragment_= amp= preview= draft= nocache= purge= debug= lang= locale= theme= format=json& output= callback= jsonp=
  _method=POST& _method=DELETE& method= action= crash=1& url=http:// redirect=// next=// returnTo= host= path= %00= %0d%0aX-C:%20 %0a= a=1;b= ;a= &a= &&&= = == ? ?? ??= /?= /../account? # #? %23 x# %3F= %26a= %3Da= + +a= %20= %2B= a%5B%5D= %E4= %C3%A4= %FF= % %zz %u0041= %252e= "> '> <script> \` { | } ^ \\ é= a=é .. / // ../ ;jsessionid=`

function addQueries (attacks: Attacks): void {
  for (const form of QUERIES.trim().split(/\s+/)) {
    attacks.add(`query ?${form}`, (path, c) => ({ target: `${path}?${form}${c}` }))
    attacks.add(`query ?${form} where a query is kept`, (path, c) => ({ target: `${path}?${form}${c}` }), 'query')
  }
  // Names that the route keeps, in every disguise.
  const kept = ['q=C', 'q=C&q=C', 'q=&q=C', 'q=C&q=', 'q[]=C', 'q[0]=C', 'q.a=C', 'Q=C', 'q%3DC', '%71=C', '%71=&q=C', 'q%00=C', 'q+=C', '+q=C', 'q%20=C', 'q;=C', 'q=1;q=C', 'page=1&q=C', 'q=C&page=1', 'page=C&page=C', 'q=&x=C', 'q&x=C', '&q&x=C', 'q=%00C', 'q=%0d%0aX-C:C', `q=C${'x'.repeat(300)}`, `x=C${'x'.repeat(5000)}`, 'q=1#C', 'q=1%23C', 'q=1?C', 'q==C', 'q=%', 'q=%zzC', 'q=%ffC', 'q=a%26x=C', 'q=a%20host=C', 'q=a host=C', 'q=a+host%3Db.example+C', 'page=1%26q=C', 'q=C%3D1']
  for (const form of kept) attacks.add(`kept query ?${form.slice(0, 40)}`, (path, c) => ({ target: `${path}?${form.replaceAll('C', c)}` }), 'query')
}

const HOSTS = ['C.example', 'good.example:1337', 'good.example:C', 'C@good.example', 'good.example@C', 'good.example C', 'good.example, C.example', 'good.example.', 'good.example#C', 'good.example/C', 'good.example?C', 'good.example\\C', 'good.example;C', '"><script>C</script>', "'-C-'", 'localhost C', '127.0.0.1:C', '[::1]:C', '[C]', 'GOOD.EXAMPLE C', 'xn--C', 'é.C', '%00C', '%0d%0aX-C:C', 'C'.repeat(300), '*', '-C', 'b.example:C', 'b.example C', 'B.EXAMPLE', 'b.example', 'b.example.', '..', '']

function addHosts (attacks: Attacks): void {
  for (const family of ['page', 'host'] as const) {
    for (const form of HOSTS) {
      attacks.add(`Host: ${form.slice(0, 40)} (${family})`, (_path, c) => ({ host: form.replaceAll('C', c), headers: [`X-C: ${c}`] }), family)
      attacks.add(`X-Forwarded-Host: ${form.slice(0, 40)} (${family})`, (_path, c) => ({ headers: [`X-Forwarded-Host: ${form.replaceAll('C', c)}`, `X-C: ${c}`] }), family)
    }
    const lists: Describe[] = [
      (_path, c) => ({ host: [HOST, `${c}.example`] }),
      (_path, c) => ({ host: [`${c}.example`, HOST] }),
      (_path, c) => ({ host: null, headers: [`X-C: ${c}`] }),
      (_path, c) => ({ host: null, version: 'HTTP/1.0', headers: [`X-C: ${c}`] }),
      (_path, c) => ({ host: `${c}.example`, version: 'HTTP/1.0' }),
      (_path, c) => ({ host: null, headers: [` Host: ${c}`] }),
      (_path, c) => ({ host: null, headers: [`Host : ${c}`] }),
      (_path, c) => ({ host: null, headers: [`Host:\t${c}`] }),
      (path, c) => ({ target: `http://${c}.example${path}` }),
      (path, c) => ({ target: `http://${c}.example${path}`, host: `${c}.example` }),
      (path, c) => ({ target: `HTTP://${HOST}${path}?${c}` }),
      (path, c) => ({ target: `https://${c}:${c}@${HOST}${path}` }),
      (path, c) => ({ target: `http://${HOST}:1337${path}#${c}` }),
      (path, c) => ({ target: `//${c}.example${path}` }),
      (path, c) => ({ target: `///${c}.example/..${path}` }),
      (path, c) => ({ target: `@${c}.example${path}` }),
      (path, c) => ({ target: `${c}:${path}` }),
      (path, c) => ({ target: path.slice(1), headers: [`X-C: ${c}`] }),
      (_path, c) => ({ target: '*', headers: [`X-C: ${c}`] }),
      (path, c) => ({ method: 'CONNECT', target: `${c}.example:80`, headers: [`X-C: ${path}`] })
    ]
    lists.forEach((describe, index) => attacks.add(`authority form ${index} (${family})`, describe, family))
  }
}

function addFraming (attacks: Attacks): void {
  const chunked = (c: string): string => `${(c.length).toString(16)}\r\n${c}\r\n0\r\n\r\n`
  const forms: [name: string, describe: Describe][] = [
    ['fat GET', (_path, c) => ({ headers: [`Content-Length: ${c.length}`], body: c })],
    ['fat GET, JSON', (_path, c) => ({ headers: ['Content-Type: application/json', `Content-Length: ${c.length + 8}`], body: `{"a":"${c}"}` })],
    ['fat GET, form', (_path, c) => ({ headers: ['Content-Type: application/x-www-form-urlencoded', `Content-Length: ${c.length + 2}`], body: `q=${c}` })],
    ['chunked GET', (_path, c) => ({ headers: ['Transfer-Encoding: chunked'], body: chunked(c) })],
    ['chunked GET with trailers', (_path, c) => ({ headers: ['Transfer-Encoding: chunked', 'Trailer: X-Forwarded-Host'], body: `1\r\nx\r\n0\r\nX-Forwarded-Host: ${c}\r\n\r\n` })],
    ['chunked GET with extensions', (_path, c) => ({ headers: ['Transfer-Encoding: chunked'], body: `1;${c}=${c}\r\nx\r\n0\r\n\r\n` })],
    ['fat HEAD', (_path, c) => ({ method: 'HEAD', headers: [`Content-Length: ${c.length}`], body: c })],
    ['CL.TE', (_path, c) => ({ headers: ['Content-Length: 4', 'Transfer-Encoding: chunked'], body: chunked(c) })],
    ['TE.CL', (_path, c) => ({ headers: ['Transfer-Encoding: chunked', 'Content-Length: 4'], body: chunked(c) })],
    ['two lengths', (_path, c) => ({ headers: ['Content-Length: 0', `Content-Length: ${c.length}`], body: c })],
    ['a list of lengths', (_path, c) => ({ headers: [`Content-Length: 0, ${c.length}`], body: c })],
    ['a length with a sign', (_path, c) => ({ headers: [`Content-Length: +${c.length}`], body: c })],
    ['a length of another base', (_path, c) => ({ headers: ['Content-Length: 0x8'], body: c })],
    ['a negative length', (_path, c) => ({ headers: ['Content-Length: -1'], body: c })],
    ['a short body', (_path, c) => ({ headers: ['Content-Length: 1000'], body: c })],
    ['a short chunk', (_path, c) => ({ headers: ['Transfer-Encoding: chunked'], body: `ff\r\n${c}` })],
    ['a chunk size that overflows', (_path, c) => ({ headers: ['Transfer-Encoding: chunked'], body: `fffffffffffffffff\r\n${c}` })],
    ['TE: identity', (_path, c) => ({ headers: ['Transfer-Encoding: identity', `Content-Length: ${c.length}`], body: c })],
    ['TE: xchunked', (_path, c) => ({ headers: ['Transfer-Encoding: xchunked'], body: chunked(c) })],
    ['TE with a space', (_path, c) => ({ headers: ['Transfer-Encoding : chunked', 'Content-Length: 4'], body: chunked(c) })],
    ['TE with a tab', (_path, c) => ({ headers: ['Transfer-Encoding:\tchunked', 'Content-Length: 4'], body: chunked(c) })],
    ['TE folded', (_path, c) => ({ headers: ['Transfer-Encoding:\r\n chunked', 'Content-Length: 4'], body: chunked(c) })],
    ['TE twice', (_path, c) => ({ headers: ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], body: chunked(c) })],
    ['TE of HTTP/1.0', (_path, c) => ({ version: 'HTTP/1.0', headers: ['Transfer-Encoding: chunked'], body: chunked(c) })],
    ['Expect', (_path, c) => ({ headers: ['Expect: 100-continue', `Content-Length: ${c.length}`], body: c })],
    ['bare line feeds', (path, c) => `GET ${path} HTTP/1.1\nHost: ${HOST}\nX-C: ${c}\nConnection: close\n\n`],
    ['bare carriage returns', (path, c) => `GET ${path} HTTP/1.1\rHost: ${HOST}\rX-C: ${c}\r\r`],
    ['empty lines before', (path, c) => `\r\n\r\n${bytesOf(path, { headers: [`X-C: ${c}`] })}`],
    ['HTTP/0.9', (path, c) => `GET ${path}?${c}\r\n\r\n`],
    ['HTTP/2.0', (_path, c) => ({ version: 'HTTP/2.0', headers: [`X-C: ${c}`] })],
    ['HTTP/1.2', (_path, c) => ({ version: 'HTTP/1.2', headers: [`X-C: ${c}`] })],
    ['a request without an end', (path, c) => `GET ${path} HTTP/1.1\r\nHost: ${c}`],
    ['tabs in the first line', (path, c) => `GET\t${path}\tHTTP/1.1\r\nHost: ${c}\r\n\r\n`],
    ['words in the first line', (path, c) => `GET ${path} ${c} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`],
    ['a preface of HTTP/2', (path, c) => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${bytesOf(path, { headers: [`X-C: ${c}`] })}`]
  ]
  for (const method of ['GET', 'POST', 'OPTIONS']) {
    for (const [name, lines] of [['CL', (smuggled: string) => [`Content-Length: ${smuggled.length}`]], ['CL 0', () => ['Content-Length: 0']], ['none', () => []], ['CL and TE', () => ['Content-Length: 5', 'Transfer-Encoding: chunked']]] as [string, (smuggled: string) => string[]][]) {
      forms.push([`${method} with a request in its body (${name})`, (path, c) => {
        const smuggled = bytesOf(path, { host: `${c}.example`, headers: [`X-Forwarded-Host: ${c}`] })
        const body = name === 'CL and TE' ? `0\r\n\r\n${smuggled}` : smuggled
        return { method, headers: lines(body), body, isClosed: false }
      }])
    }
  }
  for (const [name, describe] of forms) {
    attacks.add(`framing: ${name}`, describe)
    attacks.add(`framing: ${name} (docs)`, describe, 'docs')
  }
  attacks.add('framing: pipelined with one that is clean', (path, c) => bytesOf(path, { isClosed: false, headers: [`X-C: ${c}`] }) + bytesOf(path, { isClosed: false }) + bytesOf(path, { method: 'HEAD', headers: [`X-C: ${c}`] }))
  attacks.add('framing: HEAD and GET at once', (path, c) => bytesOf(path, { method: 'HEAD', isClosed: false, headers: [`X-C: ${c}`] }) + bytesOf(path, { headers: [`X-C: ${c}`] }))
  attacks.add('framing: POST and GET at once', (path, c) => bytesOf(path, { method: 'POST', isClosed: false, headers: [`Content-Length: ${c.length}`], body: c }) + bytesOf(path, { headers: [`X-C: ${c}`] }))
}

function addMethods (attacks: Attacks): void {
  const methods = 'HEAD POST PUT PATCH DELETE OPTIONS TRACE PROPFIND QUERY CONNECT LINK UNLINK PURGE BAN REFRESH SEARCH MKCOL COPY MOVE LOCK UNLOCK REPORT SUBSCRIBE NOTIFY SOURCE get Get GETX FOO G'.split(' ')
  methods.forEach((method, index) => {
    attacks.add(`method ${method}`, (_path, c) => ({ method, headers: [`X-C: ${c}`, 'Content-Length: 0'] }), familyOf(index))
    attacks.add(`method ${method} with a body`, (_path, c) => ({ method, headers: [`Content-Length: ${c.length}`, 'Content-Type: text/plain'], body: c }), familyOf(index + 1))
  })
  const overrides = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method', 'X-Override-Method', 'X-Forwarded-Method']
  for (const name of overrides) {
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'GET']) {
      attacks.add(`GET as ${method} by ${name}`, (_path, c) => ({ headers: [`${name}: ${method}`, `X-C: ${c}`] }))
      attacks.add(`POST as ${method} by ${name}`, (_path, c) => ({ method: 'POST', headers: [`${name}: ${method}`, `Content-Length: ${c.length}`], body: c }))
    }
  }
}

/** Other spellings of a path, `H` being all but its last segment and `T` that one. */
const SPELLINGS = ['H/%T', 'H//T', '/H/T', '//H/T', 'H/./T', 'H/x/../T', 'H/x/..%2fT', 'H/x%2f..%2fT', 'H/%2e/T', 'H/.%2fT', 'H/x/%2e%2e/T', 'H/x/.%2e/T', 'H/x/%2E./T', 'H/x/%252e%252e/T', 'H/x/%c0%ae%c0%ae/T', 'H/x\\..\\T', 'H\\T', 'H/x/..;/T', 'H/T;C', 'H/T;x=C', 'H/T%3bC', 'H/T%3bx=C', 'H;C/T', 'H/;C/T', 'H/T/', 'H/T//', 'H/T/.', 'H/T/..', 'H/T/../T', 'H/T%2f', 'H/T%2f..%2fT', 'H/T%5c', 'H/T%00', 'H/T%00C', 'H/T%0a', 'H/T%0d%0aX-C:C', 'H/T%20', 'H/T%09', 'H/T%7f', 'H/T.', 'H/T..', 'H/T.css', 'H/T.json', 'H/T/C.css', 'H/T%23C', 'H/T#C', 'H/T%3fC', 'H/T%3Fx=C', 'H/T%26C', 'H/T,C', 'H/T:C', 'H/T@C', 'H/T!C', 'H/T~C', 'H/T%ff', 'H/T%c3%a4', 'H/T%C3%A4', 'H/T%e4', 'H/T%', 'H/T%2', 'H/T%zz', 'H/T%u0041', 'H/Té', 'H/T\u00ad', 'UPPER', 'H/TUPPER', '/account/..H/T', '/account/../H/T', '/account%2f..H/T', '/docs/..H/T', '/docs/../H/T', '/docs/..%2fH/T', '/docs/%2e%2eH/T', '/docs/%2e%2e%2fH/T', '/docs/..\\H/T', '/page/..H/T', '/page/x/..H/T', '/./H/T', '/.H/T', '/%2eH/T', '/;H/T', '/%2fH/T', '/%5cH/T', 'H/T?', 'H/T??', 'H/T?#', 'H/T"C', "H/T'C", 'H/T<C>', 'H/T{C}', 'H/T|C', 'H/T^C', 'H/T`C', 'H/T+C', 'H/T%2BC', 'H/%2e%2e/account', 'H/../account', 'H/..%2faccount', 'H/..\\account', 'H/T host=C', 'H/T%20host=C', 'H/T accept-language=de']

function addPaths (attacks: Attacks): void {
  for (const family of ['page', 'docs', 'vary', 'query'] as const) {
    for (const form of SPELLINGS) {
      attacks.add(`path ${form} (${family})`, (path, c) => {
        const cut = path.lastIndexOf('/')
        const [head, tail] = [path.slice(0, cut), path.slice(cut + 1)]
        const target = form === 'UPPER'
          ? path.toUpperCase()
          : form.replace('TUPPER', tail.toUpperCase()).replace('%T', `%${tail.charCodeAt(0).toString(16)}${tail.slice(1)}`).replaceAll('T', tail).replaceAll('H', head).replaceAll('C', c)
        return { target, headers: [`X-C: ${c}`] }
      }, family)
    }
  }
}

function addStatuses (attacks: Attacks): void {
  STATUSES.forEach((status, index) => {
    attacks.add(`status ${status} by a header`, (_path, c) => ({ headers: [`X-Status: ${status}`, `X-Forwarded-Host: ${c}`] }), familyOf(index))
    attacks.add(`status ${status} by a query`, (path, c) => ({ target: `${path}?status=${status}&c=${c}` }), familyOf(index))
    attacks.add(`status ${status} by a cookie`, (_path, c) => ({ headers: [`Cookie: status=${status}; c=${c}`] }), familyOf(index))
    attacks.add(`status ${status} by HEAD`, (_path, c) => ({ method: 'HEAD', headers: [`X-Status: ${status}`, `X-C: ${c}`] }), familyOf(index))
    // The page itself is like that, whoever asks.
    attacks.addAt(`a page of status ${status}`, `/status/${status}/p${attacks.list.length}`, (_path, c) => ({ host: `${c}.example`, headers: [`X-Forwarded-Host: ${c}`, `X-C: ${c}`] }))
    attacks.addAt(`a page of status ${status}, and HEAD`, `/status/${status}/p${attacks.list.length}`, (_path, c) => ({ method: 'HEAD', headers: [`X-C: ${c}`] }))
    attacks.addAt(`a page of status ${status}, and a cookie`, `/status/${status}/p${attacks.list.length}`, (_path, c) => ({ headers: [`Cookie: c=${c}`] }))
  })
}

function addConditions (attacks: Attacks): void {
  const lines = ['Range: bytes=0-3', 'Range: bytes=-3', 'Range: bytes=3-', 'Range: bytes=0-0,2-2', 'Range: bytes=99999-', 'Range: bytes=5-2', 'Range: items=0-1', `Range: ${'bytes=0-,'.repeat(50)}`, 'If-Range: "x"', 'If-Match: *', 'If-Match: "x"', 'If-None-Match: *', 'If-None-Match: "x"', 'If-None-Match: W/"x"', 'If-None-Match: x', 'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 'If-Modified-Since: Fri, 31 Dec 2100 00:00:00 GMT', 'If-Modified-Since: yesterday', 'If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 'If-Unmodified-Since: Fri, 31 Dec 2100 00:00:00 GMT']
  for (const line of lines) {
    for (const method of ['GET', 'HEAD']) attacks.add(`first ${method} with ${line.slice(0, 40)}`, (_path, c) => ({ method, headers: [line, `X-C: ${c}`] }), method === 'GET' ? 'page' : 'stale')
    attacks.add(`first with ${line.slice(0, 40)} and If-Range`, (_path, c) => ({ headers: [line, `If-Range: "${c}"`] }), 'docs')
  }
}

function addCredentials (attacks: Attacks): void {
  const lines = ['Authorization: Bearer C', 'Authorization: Basic C', 'Authorization: C', 'Authorization: ', 'authorization: Digest username="C"', 'Proxy-Authorization: Basic C', 'Cookie: sid=C', 'Cookie: session=C; theme=C', 'Cookie: C', 'Cookie: =C', 'Cookie: C=', 'Cookie: __proto__=C', 'Cookie: sid=C\r\nCookie: sid=C', 'Cookie: sid="C', 'Cookie: sid=C;;;;', 'Cookie: $Version=1; sid=C', `Cookie: ${'a=C; '.repeat(500)}`, 'Cookie: __Host-sid=C', 'Cookie: sid=%00C', 'Cookie2: sid=C', 'X-Api-Key: C', 'X-Login: C', 'X-Auth-Token: C']
  lines.forEach((line, index) => {
    attacks.add(`${line.slice(0, 40)}`, (_path, c) => ({ headers: line.replaceAll('C=', `${c}=`).replace(/C(?![a-z])/g, c).split('\r\n') }), familyOf(index))
    attacks.add(`${line.slice(0, 40)}, and HEAD`, (_path, c) => ({ method: 'HEAD', headers: line.replace(/C(?![a-z])/g, c).split('\r\n') }), familyOf(index + 1))
  })
}

/** The page is there and stale: the attacker is the one who has it rendered again. */
function addRegenerations (attacks: Attacks): void {
  const [clean]: Shape[] = [{}]
  const forms: Shape[] = [
    { headers: ['X-Forwarded-Host: C'] }, { headers: ['Cookie: sid=C'] }, { headers: ['Authorization: C'] }, { host: 'C.example' }, { headers: ['X-Status: throw', 'X-C: C'] }, { headers: ['X-Status: 404', 'X-C: C'] }, { headers: ['X-Status: 301', 'X-Forwarded-Host: C'] }, { headers: ['X-Login: C'] },
    { method: 'HEAD', headers: ['X-C: C'] }, { headers: ['Range: bytes=0-3', 'X-C: C'] }, { headers: ['Content-Length: 1', 'X-C: C'], body: 'C' }, { headers: ['Accept: C', 'Accept-Language: C', 'User-Agent: C'] }
  ]
  for (const [index, form] of forms.entries()) {
    attacks.add(`regeneration ${index}`, (_path, c) => [clean ?? {}, { ...form, ...(form.host === undefined ? {} : { host: `${c}.example` }), headers: (form.headers ?? []).map(line => line.replace(/C(?![a-z])/g, c)) }], 'stale')
    attacks.add(`regeneration ${index}, with a query`, (path, c) => [clean ?? {}, { ...form, target: `${path}?x=${c}&status=500`, headers: (form.headers ?? []).map(line => line.replace(/C(?![a-z])/g, c)) }], 'stale')
  }
}

/** Many spellings and variants of one page at once. */
function addFloods (attacks: Attacks): void {
  for (const family of PLAIN_FAMILIES) {
    attacks.add(`flood of queries (${family})`, (path, c) => pipelined(20, i => bytesOf(path, { target: `${path}?${c}=${i}&q=${c}${i}`, isClosed: false })), family)
    attacks.add(`flood of hosts (${family})`, (path, c) => pipelined(20, i => bytesOf(path, { host: `${c}${i}.example`, isClosed: false })), family)
    attacks.add(`flood of languages (${family})`, (path, c) => pipelined(20, i => bytesOf(path, { headers: [`Accept-Language: ${c}${i}`, `Accept-Encoding: ${c}${i}`], isClosed: false })), family)
    attacks.add(`flood of neighbours (${family})`, (path, c) => pipelined(20, i => bytesOf(path, { target: `${path}${i}-${c}`, headers: [`X-C: ${c}`], isClosed: false })), family)
  }
}

function pipelined (count: number, make: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => make(index)).join('')
}

/** Several ways at once, chosen by a fixed rule. */
function addMixtures (attacks: Attacks): void {
  for (let i = 0; i < 100; i++) {
    const names = Array.from({ length: 5 }, (_, j) => HEADER_NAMES[(i * 37 + j * 101) % HEADER_NAMES.length] ?? 'x')
    const status = STATUSES[i % STATUSES.length]
    attacks.add(`mixture ${i}`, (path, c) => ({
      method: i % 7 === 0 ? 'HEAD' : 'GET',
      target: `${path}?x=${c}${i % 3 === 0 ? `&status=${status}` : ''}`,
      host: i % 2 === 0 ? `${c}.example` : HOST,
      headers: [...names.map(name => `${name}: ${c}`), ...(i % 5 === 0 ? [`Cookie: sid=${c}; status=${status}`] : []), ...(i % 11 === 0 ? [`Content-Length: ${c.length}`] : [])],
      body: i % 11 === 0 ? c : ''
    }), familyOf(i))
  }
}

export function cleanRequest (path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nUser-Agent: clean\r\nAccept: text/html\r\n\r\n`
}
