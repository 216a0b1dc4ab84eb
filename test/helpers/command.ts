import { spawn } from 'node:child_process'

export interface CommandResult {
  code: number | null
  stdout: string
  stderr: string
}

// What `npm test` tells its children about this package would make an npm started below act here
// instead of in its own working directory. Settings such as the registry are meant to go on.
const OF_THIS_PACKAGE = /^(npm_(package_|lifecycle_|config_local_prefix$|command$)|INIT_CWD$)/

function outsideEnvironment (): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_THIS_PACKAGE.test(name)))
}

/**
 * Runs a command as a user's shell would, untouched by the test runner around it, and never
 * rejects for its exit code.
 */
export function runCommand (command: string, args: string[], cwd: string): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    // tap adds its loader to NODE_OPTIONS of whatever a test spawns; only `env` takes it off again.
    const child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
      cwd,
      env: outsideEnvironment(),
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => { stdout += text })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { stderr += text })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}
