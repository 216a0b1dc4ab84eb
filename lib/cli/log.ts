import type { FastifyInstance } from 'fastify'
import type { LoadManner } from '../load/load-app.js'

const QUIET = 'fatal'

/** The app's log goes to stderr: stdout is for the report. */
export function logManner (logLevel: string | undefined, onWarning: OnWarning): LoadManner {
  return {
    loggerFor (logger) {
      if (logger === false) return false
      const own = typeof logger === 'object' && logger !== null ? logger as Record<string, unknown> : {}
      const goesElsewhere = ['transport', 'file', 'stream'].some(name => own[name] !== undefined)
      if (goesElsewhere) return { ...own, level: logLevel ?? QUIET }
      if (logLevel !== undefined) return { ...own, level: logLevel, stream: process.stderr }
      return { ...own, level: 'warn', stream: warningsOnly(onWarning) }
    },
    // With two lines per rendered page.
    adjust (app: FastifyInstance) { if ('level' in app.log) app.log.level = logLevel ?? QUIET }
  }
}

/** `isBroken`: the message is of a broken file, and names the place. */
export type OnWarning = (message: string, about: { isBroken: boolean }) => void

interface LogLine { level?: unknown, plugin?: unknown, msg?: unknown, err?: unknown, page?: unknown, file?: unknown }

const ERROR = 50
const FATAL = 60

/** A destination for the app's log that lets through what a build must not hide, for somebody who did not ask for a log. */
export function warningsOnly (onWarning: OnWarning): { write (line: string): void } {
  return {
    write (line) {
      const { level, plugin, msg, err, page, file } = readLine(line)
      if (typeof level === 'number' && level >= FATAL) process.stderr.write(line)
      // What went wrong with a page is in the report.
      if (plugin !== 'fastify-isr' || typeof msg !== 'string' || err !== undefined || page !== undefined) return
      // That there is no build yet is why this runs.
      if (!msg.includes("run 'fastify-isr prerender'")) onWarning(msg, { isBroken: level === ERROR && file !== undefined })
    }
  }
}

function readLine (line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine
  } catch {
    // The app may format its log as it likes.
    return {}
  }
}
