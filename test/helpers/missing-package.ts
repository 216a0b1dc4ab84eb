// Makes a package look as if it was not installed: node --import <this file>?package=sharp
import { register } from 'node:module'

const hooks = `
let missing
export function initialize (name) { missing = name }
export async function resolve (specifier, context, next) {
  if (specifier !== missing) return await next(specifier, context)
  throw Object.assign(new Error("Cannot find package '" + missing + "' imported from " + context.parentURL), { code: 'ERR_MODULE_NOT_FOUND' })
}`

register(`data:text/javascript,${encodeURIComponent(hooks)}`, { data: new URL(import.meta.url).searchParams.get('package') })
