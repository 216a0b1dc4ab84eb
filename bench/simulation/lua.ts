import fengari, { type LuaState } from 'fengari'
import type { Script } from '../../lib/cluster/link.js'

const { lua, lauxlib, lualib, to_luastring: luaText } = fengari

/** What a command replies. Strings have one character per byte. */
export type Reply = number | string | null | readonly Reply[] | { readonly ok: string } | { readonly err: string }

/** An error reply. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

type Json = number | string | boolean | null | readonly Json[] | { readonly [name: string]: Json }

const NUMBER = /^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?\s*$/i

/** Runs Lua scripts as Redis does, with what they use of it. */
export class LuaScripts {
  readonly #state = lauxlib.luaL_newstate()
  /** By checksum, where the compiled script is. */
  readonly #compiled = new Map<string, number>()

  constructor (call: (command: readonly string[]) => Reply) {
    const state = this.#state
    lualib.luaL_openlibs(state)
    define(state, 'redis', {
      call: state => command(state, call, error => lauxlib.luaL_error(state, luaText('%s'), luaText(error.message))),
      pcall: state => command(state, call, error => {
        push(state, { err: error.message })
        return 1
      })
    })
    define(state, 'cjson', {
      decode: state => {
        pushJson(state, JSON.parse(Buffer.from(text(state, 1), 'latin1').toString()) as Json)
        return 1
      },
      encode: state => {
        push(state, Buffer.from(JSON.stringify(toJson(state, 1))).toString('latin1'))
        return 1
      }
    })
    // Redis has Lua 5.1, with doubles only; here integers would be a type of their own, of 32 bits.
    lua.lua_pushcfunction(state, toNumber)
    lua.lua_setglobal(state, luaText('tonumber'))
    lua.lua_getglobal(state, luaText('string'))
    lua.lua_pushcfunction(state, format)
    lua.lua_setfield(state, -2, luaText('format'))
    lua.lua_settop(state, 0)
  }

  /** @throws ReplyError */
  run (script: Script, keys: readonly string[], args: readonly string[]): Reply {
    const state = this.#state
    pushList(state, keys)
    lua.lua_setglobal(state, KEYS)
    pushList(state, args)
    lua.lua_setglobal(state, ARGV)
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, this.#compile(script))
    const status = lua.lua_pcall(state, 0, 1, 0)
    try {
      if (status !== 0) throw new ReplyError(lua.lua_tojsstring(state, -1))
      const reply = toReply(state, -1)
      if (reply !== null && typeof reply === 'object' && 'err' in reply) throw new ReplyError(reply.err)
      return reply
    } finally {
      lua.lua_settop(state, 0)
    }
  }

  #compile ({ sha, lua: source }: Script): number {
    const known = this.#compiled.get(sha)
    if (known !== undefined) return known
    if (lauxlib.luaL_loadstring(this.#state, luaText(source)) !== 0) throw new ReplyError(lua.lua_tojsstring(this.#state, -1))
    const compiled = lauxlib.luaL_ref(this.#state, lua.LUA_REGISTRYINDEX)
    this.#compiled.set(sha, compiled)
    return compiled
  }
}

const KEYS = luaText('KEYS')
const ARGV = luaText('ARGV')
const OK = luaText('ok')
const ERR = luaText('err')

function define (state: LuaState, name: string, functions: Record<string, (state: LuaState) => number>): void {
  lua.lua_createtable(state, 0, 0)
  for (const [member, value] of Object.entries(functions)) {
    lua.lua_pushcfunction(state, value)
    lua.lua_setfield(state, -2, luaText(member))
  }
  lua.lua_setglobal(state, luaText(name))
}

function command (state: LuaState, call: (command: readonly string[]) => Reply, onError: (error: ReplyError) => number): number {
  const args: string[] = []
  for (let index = 1; index <= lua.lua_gettop(state); index++) {
    args.push(lua.lua_type(state, index) === lua.LUA_TNUMBER ? String(lua.lua_tonumber(state, index)) : text(state, index))
  }
  let reply: Reply
  try {
    reply = call(args)
  } catch (error) {
    if (!(error instanceof ReplyError)) throw error
    return onError(error)
  }
  push(state, reply)
  return 1
}

function text (state: LuaState, index: number): string {
  const { buffer, byteOffset, length } = lua.lua_tostring(state, index)
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length).toString('latin1')
}

function push (state: LuaState, reply: Reply): void {
  if (typeof reply === 'number') lua.lua_pushnumber(state, reply)
  else if (typeof reply === 'string') pushText(state, reply)
  else if (reply === null) lua.lua_pushboolean(state, false)
  else if ('ok' in reply || 'err' in reply) {
    lua.lua_createtable(state, 0, 1)
    pushText(state, 'ok' in reply ? reply.ok : reply.err)
    lua.lua_setfield(state, -2, 'ok' in reply ? OK : ERR)
  } else pushList(state, reply)
}

function pushText (state: LuaState, value: string): void {
  const bytes = Buffer.from(value, 'latin1')
  lua.lua_pushlstring(state, bytes, bytes.length)
}

function pushList (state: LuaState, list: readonly Reply[]): void {
  lua.lua_createtable(state, list.length, 0)
  list.forEach((item, index) => {
    push(state, item)
    lua.lua_rawseti(state, -2, index + 1)
  })
}

function toReply (state: LuaState, index: number): Reply {
  switch (lua.lua_type(state, index)) {
    case lua.LUA_TNUMBER: return Math.trunc(lua.lua_tonumber(state, index))
    case lua.LUA_TSTRING: return text(state, index)
    case lua.LUA_TBOOLEAN: return lua.lua_toboolean(state, index) ? 1 : null
    case lua.LUA_TTABLE: return toTableReply(state, index)
    default: return null
  }
}

function toTableReply (state: LuaState, index: number): Reply {
  for (const [name, field] of [['ok', OK], ['err', ERR]] as const) {
    const type = lua.lua_getfield(state, index, field)
    const value = type === lua.LUA_TSTRING ? text(state, -1) : null
    lua.lua_pop(state, 1)
    if (value !== null) return name === 'ok' ? { ok: value } : { err: value }
  }
  return listOf(state, index, state => toReply(state, -1))
}

/** Up to the first nil, as Redis does it. */
function listOf<T> (state: LuaState, index: number, read: (state: LuaState) => T): T[] {
  const list: T[] = []
  for (let at = 1; ; at++) {
    const type = lua.lua_rawgeti(state, index, at)
    if (type !== lua.LUA_TNIL) list.push(read(state))
    lua.lua_pop(state, 1)
    if (type === lua.LUA_TNIL) return list
  }
}

function pushJson (state: LuaState, value: Json): void {
  if (typeof value === 'number') lua.lua_pushnumber(state, value)
  else if (typeof value === 'string') pushText(state, Buffer.from(value).toString('latin1'))
  else if (typeof value === 'boolean') lua.lua_pushboolean(state, value)
  else if (value === null) lua.lua_pushnil(state)
  else if (Array.isArray(value)) {
    lua.lua_createtable(state, value.length, 0)
    value.forEach((item: Json, index) => {
      pushJson(state, item)
      lua.lua_rawseti(state, -2, index + 1)
    })
  } else {
    lua.lua_createtable(state, 0, 0)
    for (const [name, item] of Object.entries(value)) {
      pushJson(state, item)
      lua.lua_setfield(state, -2, luaText(name))
    }
  }
}

/** Lists only: no script makes JSON of anything else. */
function toJson (state: LuaState, index: number): Json {
  switch (lua.lua_type(state, index)) {
    case lua.LUA_TNUMBER: return Number(lua.lua_tonumber(state, index).toPrecision(14))
    case lua.LUA_TSTRING: return Buffer.from(text(state, index), 'latin1').toString()
    case lua.LUA_TBOOLEAN: return lua.lua_toboolean(state, index)
    case lua.LUA_TTABLE: return listOf(state, index, state => toJson(state, lua.lua_gettop(state)))
    default: return null
  }
}

function toNumber (state: LuaState): number {
  const type = lua.lua_type(state, 1)
  if (type === lua.LUA_TNUMBER) lua.lua_pushnumber(state, lua.lua_tonumber(state, 1))
  else if (type === lua.LUA_TSTRING && NUMBER.test(text(state, 1))) lua.lua_pushnumber(state, Number(text(state, 1)))
  else lua.lua_pushnil(state)
  return 1
}

function format (state: LuaState): number {
  let index = 1
  push(state, text(state, 1).replace(/%(d|s|\.0f)/g, (_, kind: string) => {
    index++
    if (kind === 's') return text(state, index)
    const value = lua.lua_type(state, index) === lua.LUA_TNUMBER ? lua.lua_tonumber(state, index) : Number(text(state, index))
    return kind === 'd' ? String(Math.trunc(value)) : value.toFixed(0)
  }))
  return 1
}
