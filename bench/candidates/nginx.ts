import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Peer } from '../candidate.js'
import { productsOf, renderPage } from '../page.js'
import { ensureCommand } from '../peers/install.js'
import { freePort, startProgram } from '../peers/program.js'

function configuration (folder: string, port: number): string {
  return `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path ${folder}/tmp; proxy_temp_path ${folder}/tmp; fastcgi_temp_path ${folder}/tmp;
  uwsgi_temp_path ${folder}/tmp; scgi_temp_path ${folder}/tmp;
  sendfile on; tcp_nopush on;
  keepalive_requests 1000000000;
  open_file_cache max=1000; open_file_cache_valid 60s;
  types { text/html html; }
  charset utf-8;
  server {
    listen 127.0.0.1:${port};
    root ${folder}/site;
    add_header cache-control "public, max-age=0, must-revalidate";
    gzip_static on; gzip_vary on;
    location = / { try_files /index.html =404; }
  }
}
`
}

const nginx: Peer = {
  title: 'nginx, static file',
  async start ({ kilobytes }, tools) {
    const command = await ensureCommand('nginx', tools)
    const { stderr } = await promisify(execFile)(command, ['-v'])
    const folder = await mkdtemp(path.join(tmpdir(), 'fastify-isr-nginx-'))
    await chmod(folder, 0o755)
    await mkdir(path.join(folder, 'site'))
    await mkdir(path.join(folder, 'tmp'))
    const page = renderPage(productsOf(kilobytes))
    await writeFile(path.join(folder, 'site/index.html'), page)
    await writeFile(path.join(folder, 'site/index.html.gz'), await promisify(gzip)(page, { level: 9 }))
    const port = await freePort()
    const file = path.join(folder, 'nginx.conf')
    await writeFile(file, configuration(folder, port))
    return await startProgram({
      command,
      args: ['-p', folder, '-c', file],
      port,
      version: /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'unknown',
      cleanUp: () => rm(folder, { recursive: true, force: true })
    }, tools)
  },
  verify: (text, headers, page) => text === page ? null : 'answers another page'
}

export default nginx
