import neostandard, { resolveIgnoresFromGitignore } from 'neostandard'

export default [
  ...neostandard({
    ts: true,
    ignores: resolveIgnoresFromGitignore()
  }),
  {
    files: ['**/*.ts', '**/*.cts', '**/*.mts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      // `void promise` says that nobody waits for it on purpose.
      'no-void': ['error', { allowAsStatement: true }],
      // AbortSignal.reason has no type.
      'prefer-promise-reject-errors': 'off'
    }
  }
]
