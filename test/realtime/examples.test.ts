/** The examples with other libraries, run as their readers would run them. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { loadConfig } from '../../src/config.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { linkTo } from '../testkit/database-link.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type OwnApi, startOwnApi } from '../testkit/own-api.js';

let own: OwnDatabase;
let service: OwnApi;
beforeAll(async () => {
  own = await ownDatabase();
  service = await startOwnApi(own.url);
});
afterAll(async () => {
  await service?.stop();
  await own?.remove();
});

/** What an example prints: type and number of each event. */
function watch(example: string, url: string, ...args: string[]) {
  const process = spawn('node', ['--import', 'tsx', `examples/${example}/watch.ts`, '--url', url, ...args], {
    cwd: loadConfig().projectRoot,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const told: string[] = [];
  const errors: string[] = [];
  createInterface({ input: process.stdout }).on('line', (line) => told.push(line.split(' ').slice(1, 3).join(' ')));
  createInterface({ input: process.stderr }).on('line', (line) => errors.push(line));
  const ended = new Promise<number | null>((resolve) => process.once('exit', resolve));
  return { told, errors, ended, end: () => process.kill('SIGKILL') };
}

/** Six processes that are started at once on a machine with much to do. */
const patienceMs = 40_000;
const examples = ['graphql-ws', 'urql', 'apollo'];

describe('the examples with graphql-ws, urql and Apollo', () => {
  test('tell every event of a job, or of the project, once and in order, though the API is killed', async () => {
    const projectId = await createProject(own.db);
    const key = await createKey(own.db, projectId);
    const jobId = await createJobRow(own.db, projectId, 'RECORDING');
    const watched = examples.flatMap((example) => [
      { example, first: 'JobSnapshot 1', ...watch(example, service.url, '--key', key, encodeId('Job', jobId)) },
      { example, first: 'ProjectSnapshot 0', ...watch(example, service.url, '--key', key) },
    ]);
    try {
      for (const { told, first, errors } of watched)
        await expect.poll(() => [...told, ...errors], { timeout: patienceMs }).toEqual([first]);
      const last = 60;
      for (let sequence = 1; sequence < last; ) {
        sequence = await happen(own.db, jobId);
        if (sequence === 30) await service.kill();
      }
      const events = Array.from({ length: last - 1 }, (_, index) => `JobFileAdded ${index + 2}`);
      for (const { example, told, first, errors } of watched) {
        await expect.poll(() => told.length, { timeout: patienceMs, message: example }).toBeGreaterThanOrEqual(last);
        expect(told, example).toEqual([first, ...events]);
        expect(errors, example).toEqual([]);
      }
    } finally {
      for (const { end } of watched) end();
    }
  }, 120_000);

  test('notice that the network has gone silent, and tell every event once', async () => {
    const projectId = await createProject(own.db);
    const key = await createKey(own.db, projectId);
    const jobId = await createJobRow(own.db, projectId, 'RECORDING');
    const link = await linkTo(service.url);
    const watched = examples.map((example) => ({
      example,
      ...watch(example, link.url, '--key', key, encodeId('Job', jobId)),
    }));
    try {
      for (const { told, errors } of watched)
        await expect.poll(() => [...told, ...errors], { timeout: patienceMs }).toEqual(['JobSnapshot 1']);
      link.silence();
      await happen(own.db, jobId);
      for (const { example, told, errors } of watched) {
        await expect.poll(() => told.length, { timeout: patienceMs, message: example }).toBeGreaterThanOrEqual(2);
        expect([...told, ...errors], example).toEqual(['JobSnapshot 1', 'JobFileAdded 2']);
      }
    } finally {
      for (const { end } of watched) end();
      await link.close();
    }
  }, 120_000);

  test.each(examples)('%s says what is wrong with a key, and ends', async (example) => {
    const { ended, errors, end } = watch(example, service.url, '--key', 'nonsense');
    try {
      expect(await ended).toBe(1);
      expect(errors.join('\n')).toContain('4403');
    } finally {
      end();
    }
  });
});
