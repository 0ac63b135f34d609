/** How tests run: two side by side; then one after the other those that keep the machine busy, or time what they do. */
import { defineConfig } from 'vitest/config';

/** With stacks of their own: what is to be quick is told from what is not. */
const timed = ['test/durability/chaos.test.ts'];
/** They copy streams, and mostly wait: two at once, but not beside what keeps the machine busy. */
const streams = ['test/media/{stream-*,inputs*}.test.ts'];
/** Recorders, which are killed and held still, and browsers with cameras: each keeps the machine busy by itself. */
const busy = [
  'test/media/{host-*,page-*,archive}.test.ts',
  'test/durability/{archive-life,recording-survives,steering,drain,workers-elsewhere}.test.ts',
  'test/rooms/{viewer,publish-page,recorded,render,session-live,crowded,individual*}.test.ts',
  'test/rooms/ingest*.test.ts',
  'test/tasks/*.test.ts',
  'test/schedules/{runs,survives}.test.ts',
  'test/media/recording-{life,faults,ends,rooms}.test.ts',
  'test/media/{broadcast,broadcast-jobs,live-hls,preview,renditions,one-kind,tracks-*}.test.ts',
];

const shared = { globalSetup: ['test/testkit/stack.ts'] };

export default defineConfig({
  // Node takes the CommonJS build of graphql, Vite would take the other: the schema would be of a foreign instance.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    // Tests start and kill processes; threads of one process would share what they do to it.
    pool: 'forks',
    testTimeout: 120_000,
    // A stack, or a media server, is started and stopped in some of them, on a machine that does other work.
    hookTimeout: 180_000,
    teardownTimeout: 120_000,
    projects: [
      {
        extends: true,
        test: {
          ...shared,
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: [...timed, ...busy, ...streams],
          // Some record; a recording costs about one core, so more at once would only be slower.
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { ...shared, name: 'streams', include: streams, maxWorkers: 2, sequence: { groupOrder: 1 } },
      },
      {
        extends: true,
        test: { ...shared, name: 'one by one', include: busy, maxWorkers: 1, sequence: { groupOrder: 2 } },
      },
      {
        extends: true,
        test: { name: 'timed', include: timed, maxWorkers: 1, sequence: { groupOrder: 3 } },
      },
    ],
  },
});
