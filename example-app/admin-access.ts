import { createHash, timingSafeEqual } from 'node:crypto'

/** Who may see the admin pages. */
export interface AdminAccess {
  user: string
  password: string
}

/**
 * `ADMIN_USER` and `ADMIN_PASSWORD`; null: there are no admin pages.
 *
 * @throws with NODE_ENV=production, if one of them is missing: a site whose admin pages nobody can open is a mistake
 */
export function readAdminAccess (env: NodeJS.ProcessEnv): AdminAccess | null {
  const { ADMIN_USER: user = '', ADMIN_PASSWORD: password = '', NODE_ENV } = env
  if (user.includes(':')) throw new Error('ADMIN_USER must not hold a colon: Basic authentication has no way to send it')
  if (user !== '' && password !== '') return { user, password }
  const missing = [user === '' ? 'ADMIN_USER' : null, password === '' ? 'ADMIN_PASSWORD' : null].filter(name => name !== null)
  if (NODE_ENV === 'production') throw new Error(`set ${missing.join(' and ')} in the environment: with NODE_ENV=production this site does not start without them`)
  return null
}

/** In a time that depends neither on how much of them is right nor on how long they are. */
export function isAdmin (access: AdminAccess, user: string, password: string): boolean {
  const userFits = timingSafeEqual(digest(access.user), digest(user))
  const passwordFits = timingSafeEqual(digest(access.password), digest(password))
  return userFits && passwordFits
}

function digest (text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
