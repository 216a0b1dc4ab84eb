// As much of it as is used here: it has no types of its own.
declare module 'fengari' {
  export interface LuaState { readonly lua: unique symbol }
  type LuaFunction = (state: LuaState) => number

  interface Lua {
    readonly LUA_REGISTRYINDEX: number
    readonly LUA_TNIL: number
    readonly LUA_TBOOLEAN: number
    readonly LUA_TNUMBER: number
    readonly LUA_TSTRING: number
    readonly LUA_TTABLE: number
    lua_createtable (state: LuaState, list: number, record: number): void
    lua_getfield (state: LuaState, index: number, name: Uint8Array): number
    lua_getglobal (state: LuaState, name: Uint8Array): number
    lua_gettop (state: LuaState): number
    lua_pcall (state: LuaState, args: number, results: number, handler: number): number
    lua_pop (state: LuaState, count: number): void
    lua_pushboolean (state: LuaState, value: boolean): void
    lua_pushcfunction (state: LuaState, value: LuaFunction): void
    lua_pushlstring (state: LuaState, value: Uint8Array, length: number): void
    lua_pushnil (state: LuaState): void
    lua_pushnumber (state: LuaState, value: number): void
    lua_rawgeti (state: LuaState, index: number, at: number): number
    lua_rawseti (state: LuaState, index: number, at: number): void
    lua_setfield (state: LuaState, index: number, name: Uint8Array): void
    lua_setglobal (state: LuaState, name: Uint8Array): void
    lua_settop (state: LuaState, top: number): void
    lua_toboolean (state: LuaState, index: number): boolean
    lua_tojsstring (state: LuaState, index: number): string
    lua_tonumber (state: LuaState, index: number): number
    lua_tostring (state: LuaState, index: number): Uint8Array
    lua_type (state: LuaState, index: number): number
  }

  interface Fengari {
    readonly lua: Lua
    readonly lauxlib: {
      luaL_error (state: LuaState, format: Uint8Array, ...values: Uint8Array[]): number
      luaL_loadstring (state: LuaState, source: Uint8Array): number
      luaL_newstate (): LuaState
      luaL_ref (state: LuaState, index: number): number
    }
    readonly lualib: { luaL_openlibs (state: LuaState): void }
    to_luastring (text: string): Uint8Array
  }

  const fengari: Fengari
  export default fengari
}
