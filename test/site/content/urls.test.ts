import fc from 'fast-check'
import t from 'tap'
import { canonicalPath, encodeSegment } from '../../../lib/site/content/index.js'
import { isSegment } from '../../../lib/site/content/urls.js'
import { isCanonicalPath } from '../../../lib/pages/path-pattern.js'
import { holds } from '../../helpers/property.js'

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), fc.string({ unit: fc.constantFrom('/', '.', '%', '2', 'f', 'F', 'e', '?', '#', ';', ' ', '\\', '+', '\0', '\ud800', 'e\u0301', 'é', 'a'), maxLength: 20 }))

t.test('any name that can be a segment is spelled as the core spells it', async (t) => {
  holds(t, fc.property(text, name => {
    fc.pre(isSegment(name))
    const path = `/${encodeSegment(name)}`
    return path.length > 255 || (isCanonicalPath(path) && decodeURIComponent(path.slice(1)) === name.replace(/\p{Cs}/gu, '\ufffd').normalize('NFC'))
  }), { numRuns: 2000 })
})

t.test('a path that somebody has written has one spelling that the core knows, or none', async (t) => {
  holds(t, fc.property(text, written => {
    const path = canonicalPath(`/${written}`)
    return path === null || path.length > 255 || (isCanonicalPath(path) && canonicalPath(path) === path)
  }), { numRuns: 2000 })
  t.same(['/a/', '/Über uns', '/%c3%9cber%20uns', '/100%', '/a;b', '/a+b', '/'].map(canonicalPath), ['/a', '/%C3%9Cber%20uns', '/%C3%9Cber%20uns', '/100%25', '/a%3Bb', '/a+b', '/'])
  t.same(['', 'a', '//a', '/a//b', '/a/./b', '/..', '/%2e%2e/a', '/a%2fb', '/a%5cb', '/a\\b', '/a?b', '/a#b', '/a%00'].map(canonicalPath), Array.from({ length: 13 }, () => null))
})
