import fc from 'fast-check'
import sharp from 'sharp'
import { test } from 'tap'
import { imageSize } from '../../../lib/site/assets/image-size/index.js'
import { isAnimatedPng } from '../../../lib/site/assets/image-size/png.js'
import { holds, holdsInTime } from '../../helpers/property.js'

const side = fc.integer({ min: 1, max: 300 })

/** Bare and in all ways of packing that sharp knows of, so that every kind of header occurs. */
const encodings = fc.oneof(
  fc.record({ format: fc.constant('png' as const), options: fc.record({ palette: fc.boolean(), progressive: fc.boolean() }) }),
  fc.record({ format: fc.constant('jpeg' as const), options: fc.record({ progressive: fc.boolean(), mozjpeg: fc.boolean() }) }),
  fc.record({ format: fc.constant('gif' as const), options: fc.constant({}) }),
  fc.record({ format: fc.constant('webp' as const), options: fc.record({ lossless: fc.boolean() }) }),
  fc.record({ format: fc.constant('avif' as const), options: fc.constant({ effort: 0 }) })
)

test('the size of an image is the one that sharp tells, however it is encoded and turned', async t => {
  await holdsInTime(t, fc.asyncProperty(side, side, encodings, fc.integer({ min: 0, max: 8 }), fc.boolean(), async (width, height, { format, options }, orientation, hasAlpha) => {
    const image = sharp({ create: { width, height, channels: hasAlpha ? 4 : 3, background: { r: 200, g: 30, b: 60, alpha: 0.5 } } })
    const encoded = image[format](options)
    const bytes = await (orientation === 0 ? encoded : encoded.withMetadata({ orientation })).toBuffer()
    const expected = (await sharp(bytes).metadata()).autoOrient
    const found = imageSize(bytes)
    if (found?.type !== format || found.width !== expected.width || found.height !== expected.height) {
      throw new Error(`${JSON.stringify(found)} instead of ${format} ${JSON.stringify(expected)}`)
    }
  }), { numRuns: 150 })
})

test('no bytes make the reader of sizes fail, and none that break off make it guess', async t => {
  const images = await Promise.all((['png', 'jpeg', 'gif', 'webp', 'avif'] as const).map(format =>
    sharp({ create: { width: 40, height: 30, channels: 3, background: '#123' } })[format]().withMetadata({ orientation: 6 }).toBuffer()))
  holds(t, fc.property(fc.constantFrom(...images), fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 6 }), fc.nat(2000), (image, changes, length) => {
    const bytes = Buffer.from(image.subarray(0, length))
    for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
    const size = imageSize(bytes)
    return size === null || (Number.isSafeInteger(size.width) && size.width > 0 && size.height > 0)
  }), { numRuns: 20_000 })
  for (const image of images) t.equal(imageSize(image.subarray(0, 9)), null)
  t.equal(imageSize(Buffer.alloc(0)), null)
})

test('an SVG has the size that it states, or else that of its viewBox', t => {
  const sizes: [string, [number, number] | null][] = [
    ['<svg width="20" height="10"/>', [20, 10]],
    ['<svg width="20px" height=\'10px\'></svg>', [20, 10]],
    ['<svg viewBox="0 0 30 40"/>', [30, 40]],
    ['<svg viewBox="-5,-5, 30.5,40.2"/>', [31, 40]],
    ['<svg width="60" viewBox="0 0 30 40"/>', [60, 80]],
    ['<svg height="60" viewBox="0 0 30 40"/>', [45, 60]],
    ['<svg width="100%" height="100%" viewBox="0 0 30 40"/>', [30, 40]],
    ['<svg width="10em" height="5em" viewBox="0 0 30 40"/>', [30, 40]],
    ['<svg width="1in" height="25.4mm"/>', [96, 96]],
    ['<svg width="0.2" height="3"/>', [1, 3]],
    ['\ufeff<?xml version="1.0"?>\n<!-- <svg width="1" height="1"> -->\n<!DOCTYPE svg [ <!ENTITY a "<svg width=\'2\'>"> ]>\n<svg:svg\n width="7"\n height="8">', [7, 8]],
    ['<svg data-width="5" stroke-width="3" width="7" height="8">', [7, 8]],
    ['<svg aria-label="a > b" width="7" height="8">', [7, 8]],
    ['<svg/>', null],
    ['<svg width="20"/>', null],
    ['<svg width="-20" height="10"/>', null],
    ['<svg viewBox="0 0 0 0"/>', null],
    ['<svgfoo width="20" height="10"/>', null],
    ['<html><svg width="20" height="10"/></html>', null],
    ['<!-- never ends', null]
  ]
  for (const [text, expected] of sizes) {
    const size = imageSize(Buffer.from(text))
    t.same(size === null ? null : [size.width, size.height], expected, text)
  }
  t.end()
})

test('the size of a JPEG is not that of the thumbnail in its EXIF data', async t => {
  const thumbnail = await sharp({ create: { width: 16, height: 12, channels: 3, background: '#fff' } }).jpeg().toBuffer()
  const photo = await sharp({ create: { width: 200, height: 100, channels: 3, background: '#fff' } }).jpeg().toBuffer()
  const body = Buffer.concat([Buffer.from('Exif\0\0'), thumbnail])
  const head = Buffer.from([0xff, 0xe1, 0, 0])
  head.writeUInt16BE(body.length + 2, 2)
  const size = imageSize(Buffer.concat([photo.subarray(0, 2), head, body, photo.subarray(2)]))
  t.same(size, { type: 'jpeg', width: 200, height: 100 })
})

test('a PNG with frames is told from one without', async t => {
  const still = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } }).png().toBuffer()
  t.notOk(isAnimatedPng(still))
  // Signature and IHDR are 33 bytes.
  const control = Buffer.from('\0\0\0\x08acTL\0\0\0\x02\0\0\0\0\0\0\0\0', 'latin1')
  t.ok(isAnimatedPng(Buffer.concat([still.subarray(0, 33), control, still.subarray(33)])))
})
