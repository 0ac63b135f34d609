/** How tests run: against one stack for all of them, in two processes side by side; then alone what has stacks of its own and is timed. */
import { defineConfig } from 'vitest/config';

const timed = ['test/durability/chaos.test.ts'];

export default defineConfig({
  // Node takes the CommonJS build of graphql, Vite would take the other: the schema would be of a foreign instance.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    // Tests start and kill processes; threads of one process would share what they do to it.
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: timed,
          globalSetup: ['test/testkit/stack.ts'],
          // A recording costs about one core, so more at once would only be slower.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: timed,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
