/** How tests run: against one stack for all of them, in two processes side by side. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Node takes the CommonJS build of graphql, Vite would take the other: the schema would be of a foreign instance.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/testkit/stack.ts'],
    // Tests start and kill processes; threads of one process would share what they do to it.
    pool: 'forks',
    // A recording costs about one core, so more at once would only be slower.
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
