import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';

const folder = new URL('../histories/', import.meta.url);
const workflowBundle = { codePath: fileURLToPath(new URL('../../build/workflows.js', import.meta.url)) };

/** Each is the life of a real job, as another version of the workflow lived it. */
const histories = readdirSync(folder).filter((name) => name.endsWith('.json'));

test('there is a history of every way a job can go', () => {
  const ways = new Set(histories.map((name) => name.replace(/-\d.*$/, '')));
  for (const way of [
    'stopped',
    'maximum-duration',
    'session-ended',
    'canceled-in-queue',
    'canceled-while-starting',
    'failed-page',
    'worker-killed',
    'resumed',
    'launched',
    'canceled-before-launch',
    'begun-from-standby',
    'standby-expired',
    'paused-and-resumed',
    'pause-expired',
    'placed-before-it-began',
    'window-ended',
    'window-moved',
  ]) {
    expect([...ways]).toContain(way);
  }
});

test.each(histories)('a job that was open during an update goes on: %s', async (name) => {
  const history = historyFromJSON(JSON.parse(readFileSync(new URL(name, folder), 'utf8')));
  await expect(Worker.runReplayHistory({ workflowBundle }, history, 'job-replayed')).resolves.toBeUndefined();
});
