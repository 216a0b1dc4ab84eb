export { Checker, isDue, type Checked, type CheckerOptions, type CheckerStats } from './checker.js'
export { closureOf, filesOf } from './closure.js'
export { Orders, tagOf } from './orders.js'
