import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

/** A key and a certificate for 127.0.0.1 that nobody has signed. */
export async function makeCertificates (t: Test): Promise<{ key: string, cert: string }> {
  const dir = t.testdir({})
  await promisify(execFile)(process.env['OPENSSL_PATH'] ?? '/usr/bin/openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1', '-keyout', 'key.pem', '-out', 'cert.pem'
  ], { cwd: dir })
  return { key: await readFile(join(dir, 'key.pem'), 'utf8'), cert: await readFile(join(dir, 'cert.pem'), 'utf8') }
}
