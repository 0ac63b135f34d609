/** What becomes of recordings when whoever should have ended a run, or removed what was deleted, was not there to do it. */
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Config, loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import type { JobReason } from '../../src/jobs/reasons.js';
import { createFileRemoval } from '../../src/services/file-removal.js';
import { createJobEnds } from '../../src/services/job-ends.js';
import { createRecordingRuns } from '../../src/services/recording-runs.js';
import { createRecordingUpkeep } from '../../src/services/recording-upkeep.js';
import { createJobStarter } from '../../src/services/start-job.js';
import type { Engine } from '../../src/temporal/client.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createProject } from '../testkit/jobs.js';
import { createFileRow, createRecordingRow, createRunRow } from '../testkit/recording-rows.js';

let own: OwnDatabase;
let db: Database;
let config: Config;
let projectId: string;
/** What the engine was asked. */
let asked: string[];
let removed: string[];

beforeAll(async () => {
  own = await ownDatabase();
  db = own.db;
  config = loadConfig({});
  projectId = await createProject(db);
});
beforeEach(async () => {
  asked = [];
  removed = [];
  await db.job.updateMany({ data: { state: 'FAILED' } });
});
afterAll(() => own.remove());

async function look(answer: 'granted' | 'silent' = 'granted') {
  const answered = answer === 'granted' ? { kind: answer, sequence: 2 } : { kind: answer };
  const engine = {
    async stop(jobId: string, reason: JobReason) {
      asked.push(`stop ${jobId} ${reason}`);
      return answered;
    },
    async ask(jobId: string, request: string) {
      asked.push(`${request} ${jobId}`);
      return answered;
    },
  } as unknown as Engine;
  const wake = () => {};
  const starter = createJobStarter({ db, wake, config, engine });
  const files = createFileRemoval({ db, wake, storage: { remove: async (key) => void removed.push(key) } });
  const runs = createRecordingRuns({ db, config, starter, ends: createJobEnds({ db, config, engine }) });
  const log = pino({ level: 'silent' });
  await createRecordingUpkeep({ db, files, runs, sharedParts: false, log }).look();
  return files;
}
const run = (recordingId: string, state: Parameters<typeof createRunRow>[3]) =>
  createRunRow(db, projectId, recordingId, state);

test('a run is ended that is not wanted any more, has a newer one, or is of what was deleted, and no other', async () => {
  const wanted = await createRecordingRow(db, projectId, { active: true });
  const older = await run(wanted, 'RECORDING');
  await run(wanted, 'STOPPING');
  await run(wanted, 'RECORDING');
  const stopped = await run(await createRecordingRow(db, projectId), 'RECONNECTING');
  const waiting = await run(await createRecordingRow(db, projectId), 'QUEUED');
  const deleted = await run(await createRecordingRow(db, projectId, { active: true, deletedAt: new Date() }), 'PAUSED');
  await look();
  expect(asked.toSorted()).toEqual(
    [
      `stop ${older} REPLACED`,
      `stop ${stopped} USER_INITIATED`,
      `stop ${deleted} USER_INITIATED`,
      `cancel ${waiting}`,
    ].toSorted(),
  );
});

test('one that the engine does not answer for is asked for again and again', async () => {
  const stopped = await run(await createRecordingRow(db, projectId), 'RECORDING');
  await look('silent');
  await look('silent');
  expect(asked).toEqual([`stop ${stopped} USER_INITIATED`, `stop ${stopped} USER_INITIATED`]);
});

test('files of a deleted recording go also when they were made after it was deleted, and its ports when nobody listens', async () => {
  const recordingId = await createRecordingRow(db, projectId, { deletedAt: new Date(), listenPort: 30_000 });
  const jobId = await run(recordingId, 'STOPPING');
  const file = await createFileRow(db, jobId);
  await (await look()).clear();
  expect(removed).toEqual([file.storageKey]);
  const row = () => db.recording.findUnique({ where: { id: recordingId } });
  expect((await row())?.listenPort).toBe(30_000);
  await db.job.update({ where: { id: jobId }, data: { state: 'FINALIZING' } });
  await look();
  expect((await row())?.listenPort).toBeNull();
});

test('rows of a deleted recording go last: not before its machine, its storage and its callbacks are done with it', async () => {
  const recordingId = await createRecordingRow(db, projectId, { deletedAt: new Date() });
  const jobId = await run(recordingId, 'FINALIZING');
  const file = await createFileRow(db, jobId, { deletedAt: new Date() });
  await db.machine.create({ data: { id: 'm', hostname: 'h', version: '1', slots: 1, lastSeenAt: new Date() } });
  await db.part.create({ data: { jobId, incarnation: 1, number: 1, projectId, machineId: 'm' } });
  await db.jobWarning.create({ data: { jobId, code: 'SILENT_SOUND', raisedAt: new Date(), projectId, message: '' } });
  await db.webhookDelivery.create({
    data: { id: file.id, projectId, jobId, sequence: 1, url: 'http://a.test/', payload: {} },
  });
  const isThere = async () => {
    await look();
    return (await db.recording.count({ where: { id: recordingId } })) > 0;
  };
  expect(await isThere()).toBe(true);
  const ended = { state: 'COMPLETE' as const, endedAt: new Date(Date.now() - 60_000) };
  await db.job.update({ where: { id: jobId }, data: ended });
  expect(await isThere()).toBe(true);
  await db.file.update({ where: { id: file.id }, data: { removedAt: new Date() } });
  expect(await isThere()).toBe(true);
  await db.webhookDelivery.update({ where: { id: file.id }, data: { state: 'DELIVERED' } });
  expect(await isThere()).toBe(true);
  // A machine that is gone for good has no say any more.
  await db.machine.update({ where: { id: 'm' }, data: { lastSeenAt: new Date(0) } });
  expect(await isThere()).toBe(false);
  expect(await db.job.count({ where: { id: jobId } })).toBe(0);
  // What happened is told for as long as other events are.
  expect(await db.event.count({ where: { jobId } })).toBeGreaterThan(0);
});
