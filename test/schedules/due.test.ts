/** What is started when a schedule is due, whoever notices it, however often, and however late. */

import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { RoomTokens } from '../../src/auth/room-tokens.js';
import type { KeyViewer } from '../../src/auth/viewer.js';
import { type Config, loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import { createArchives } from '../../src/services/archives.js';
import { createJobEnds } from '../../src/services/job-ends.js';
import { createUrlCheck } from '../../src/services/page-urls.js';
import { createRecordingRuns } from '../../src/services/recording-runs.js';
import { createScheduleUpkeep } from '../../src/services/schedule-upkeep.js';
import { createScheduledJobs } from '../../src/services/scheduled-jobs.js';
import { createScheduledRuns } from '../../src/services/scheduled-runs.js';
import { createSchedules } from '../../src/services/schedules.js';
import { createSources } from '../../src/services/sources.js';
import { createJobStarter } from '../../src/services/start-job.js';
import { createTargetUrlCheck } from '../../src/services/target-urls.js';
import { createTasks } from '../../src/services/tasks.js';
import type { Alarms } from '../../src/temporal/alarms.js';
import type { Engine } from '../../src/temporal/client.js';
import { createCallbackUrlCheck } from '../../src/webhooks/callback-url.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createProject, createRoom } from '../testkit/jobs.js';
import { createRecordingRow, createRunRow } from '../testkit/recording-rows.js';

let own: OwnDatabase;
let db: Database;
let config: Config;
let viewer: KeyViewer;
/** When jobs were told to stop. */
let told: { jobId: string; stopAt: Date }[];

beforeAll(async () => {
  own = await ownDatabase();
  db = own.db;
  config = loadConfig({});
});
beforeEach(async () => {
  told = [];
  viewer = { kind: 'key', projectId: await createProject(db), keyId: uuid(), scopes: [] };
  await db.schedule.updateMany({ data: { deletedAt: new Date(), dueAt: null } });
});
afterAll(() => own.remove());

function services() {
  const wake = () => {};
  const engine = {
    startJob: async () => {},
    tellStopTime: async (jobId: string, stopAt: Date) => void told.push({ jobId, stopAt }),
  } as unknown as Engine;
  const starter = createJobStarter({ db, wake, config, engine });
  const ends = createJobEnds({ db, config, engine });
  const recordingRuns = createRecordingRuns({ db, config, starter, ends });
  const checks = { checkCallbackUrl: createCallbackUrlCheck(config), checkTargetUrl: createTargetUrlCheck(config) };
  const sources = createSources({ db, checkUrl: createUrlCheck(config) });
  const jobs = createScheduledJobs({
    ...{ db, runs: recordingRuns },
    archives: createArchives({ db, config, starter, sources, ...checks }),
    tasks: createTasks({ db, config, starter, ends, sources, tokens: {} as RoomTokens, ...checks }),
  });
  const runs = createScheduledRuns({ db, wake, starter, jobs, runs: recordingRuns });
  const alarms = {} as Alarms;
  const upkeep = createScheduleUpkeep({ db, alarms, engine, runs, log: pino({ level: 'silent' }) });
  return { runs, upkeep, schedules: createSchedules({ db, wake, config, engine, jobs }) };
}

const hourMs = 3_600_000;
const timeOf = (ms: number) => new Date(ms).toISOString().slice(11, 19);
/** To the second, as windows are. */
const secondsAgo = (seconds: number) => new Date(Math.floor(Date.now() / 1_000 - seconds) * 1_000);

/** A schedule that was due at `startAt`, of which nobody has taken notice. */
async function overdue(startAt: Date, stopAt: Date, work: { roomId?: string; recordingId?: string } = {}) {
  const { schedules } = services();
  const { roomId, recordingId } = work;
  const id = await schedules.create(
    {
      ...{ name: 'Test', windows: [{ startAt: timeOf(startAt.getTime()), stopAt: timeOf(stopAt.getTime()) }] },
      ...(recordingId ? { recordingId } : { archive: roomId ? { roomId } : { url: 'http://127.0.0.1/' } }),
    },
    viewer,
  );
  await db.schedule.update({ where: { id }, data: { dueAt: startAt } });
  return id;
}
const row = (id: string) => db.schedule.findUniqueOrThrow({ where: { id }, include: { jobs: true } });

test('many that notice at once start one job, which stops at the end of the window', async () => {
  const [startAt, stopAt] = [secondsAgo(1), secondsAgo(-hourMs / 1_000)];
  const id = await overdue(startAt, stopAt);
  const all = Array.from({ length: 10 }, services);
  await Promise.all(all.map(({ runs }) => runs.startDue(id)));
  const { jobs, dueAt, lastRunAt, lastError } = await row(id);
  expect(jobs).toHaveLength(1);
  expect(jobs[0]).toMatchObject({ kind: 'ARCHIVE', state: 'QUEUED', stopAt });
  expect({ dueAt, lastRunAt, lastError }).toEqual({
    ...{ dueAt: new Date(startAt.getTime() + 24 * hourMs), lastRunAt: startAt, lastError: null },
  });
});

test('nothing is started before its time, unless whoever asks says that it has come', async () => {
  const startAt = secondsAgo(-60);
  const id = await overdue(startAt, secondsAgo(-120));
  const { runs } = services();
  await runs.startDue(id);
  expect((await row(id)).jobs).toEqual([]);
  // Clocks of machines differ.
  await runs.startDue(id, startAt);
  expect((await row(id)).jobs).toHaveLength(1);
});

test('what was missed is started late as long as its window is open, and else it is said that it was missed', async () => {
  const [late, missed] = [
    await overdue(secondsAgo(7_200), secondsAgo(-60)),
    await overdue(secondsAgo(7_200), secondsAgo(60)),
  ];
  await services().upkeep.startLate();
  expect((await row(late)).jobs).toHaveLength(1);
  const { jobs, lastError, lastErrorOf, dueAt } = await row(missed);
  expect({ jobs, lastError }).toEqual({ jobs: [], lastError: expect.stringContaining('whole window had passed') });
  expect(dueAt).toEqual(new Date((lastErrorOf as Date).getTime() + 24 * hourMs));
});

test('of many days without the service, the window that is open is run, and the last one that is not is told', async () => {
  const [startAt, stopAt] = [secondsAgo(60), secondsAgo(-60)];
  const id = await overdue(startAt, stopAt);
  const days = (count: number) => new Date(startAt.getTime() - count * 24 * hourMs);
  await db.schedule.update({ where: { id }, data: { dueAt: days(30) } });
  await services().runs.startDue(id);
  const { jobs, lastRunAt, lastErrorOf } = await row(id);
  expect(jobs).toHaveLength(1);
  expect({ lastRunAt, lastErrorOf }).toEqual({ lastRunAt: startAt, lastErrorOf: days(1) });
  expect(await db.event.count({ where: { type: 'ScheduleRunFailed', projectId: viewer.projectId } })).toBe(1);
});

test('what cannot be started is tried again while its window is open, and is well once it is started', async () => {
  const roomId = await createRoom(db, viewer.projectId);
  const startAt = secondsAgo(10);
  const id = await overdue(startAt, secondsAgo(-600), { roomId });
  await db.room.update({ where: { id: roomId }, data: { deletedAt: new Date() } });
  const { runs, upkeep } = services();
  await runs.startDue(id);
  const refused = await row(id);
  expect(refused).toMatchObject({ jobs: [], dueAt: startAt, lastErrorOf: startAt });
  expect(refused.lastError).toContain('no such room');
  // Not at once: the upkeep looks every 2 s.
  await db.room.update({ where: { id: roomId }, data: { deletedAt: null } });
  await upkeep.startLate();
  expect((await row(id)).jobs).toEqual([]);
  await db.schedule.update({ where: { id }, data: { retryAt: new Date(Date.now() - 1) } });
  await upkeep.startLate();
  expect(await row(id)).toMatchObject({ jobs: [{ roomId }], lastError: null, lastErrorOf: null, retryAt: null });
});

test('of two windows that cannot be run each is told once, however often they are tried', async () => {
  const roomId = await createRoom(db, viewer.projectId);
  const id = await overdue(secondsAgo(60), secondsAgo(-600), { roomId });
  const windows = [secondsAgo(60), secondsAgo(30)].map((startAt) => ({
    ...{ startAt: timeOf(startAt.getTime()), stopAt: timeOf(secondsAgo(-600).getTime()) },
  }));
  const { runs, schedules } = services();
  await schedules.update(id, { windows }, viewer);
  await db.room.update({ where: { id: roomId }, data: { deletedAt: new Date() } });
  for (let turn = 0; turn < 3; turn++) await runs.startDue(id);
  expect(await db.event.count({ where: { type: 'ScheduleRunFailed', projectId: viewer.projectId } })).toBe(2);
});

test('a window that could not be run until it was over is told by what was wrong', async () => {
  const roomId = await createRoom(db, viewer.projectId);
  const startAt = secondsAgo(10);
  const id = await overdue(startAt, secondsAgo(-1), { roomId });
  await db.room.update({ where: { id: roomId }, data: { deletedAt: new Date() } });
  const { runs } = services();
  await runs.startDue(id);
  await runs.startDue(id, secondsAgo(-2));
  const { lastError, dueAt } = await row(id);
  expect(lastError).toContain('no such room');
  expect(dueAt).toEqual(new Date(startAt.getTime() + 24 * hourMs));
});

test('a change does not forget what was to be started already, unless it is to be no more', async () => {
  const [startAt, stopAt] = [secondsAgo(60), secondsAgo(-600)];
  const [kept, changed, paused] = [
    await overdue(startAt, stopAt),
    await overdue(startAt, stopAt),
    await overdue(startAt, stopAt),
  ] as const;
  const { schedules, runs } = services();
  await schedules.update(kept, { name: 'Other' }, viewer);
  await schedules.update(
    changed,
    { windows: [{ startAt: timeOf(startAt.getTime() - 1_000), stopAt: '00:00' }] },
    viewer,
  );
  await schedules.update(paused, { isPaused: true }, viewer);
  for (const id of [kept, changed, paused]) await runs.startDue(id);
  expect((await row(kept)).jobs).toHaveLength(1);
  expect((await row(changed)).jobs).toEqual([]);
  expect((await row(paused)).jobs).toEqual([]);
});

test('a run that its client has ended is not started again in the same window', async () => {
  const startAt = secondsAgo(60);
  const id = await overdue(startAt, secondsAgo(-600));
  const { runs, schedules } = services();
  await runs.startDue(id);
  await db.job.updateMany({ where: { scheduleId: id }, data: { state: 'CANCELED' } });
  await schedules.update(id, { isPaused: true }, viewer);
  await schedules.update(id, { isPaused: false }, viewer);
  await db.schedule.update({ where: { id }, data: { dueAt: startAt } });
  await runs.startDue(id);
  expect((await row(id)).jobs).toHaveLength(1);
});

test('a job whose end was moved is told, and one that has ended is not', async () => {
  const [startAt, stopAt] = [secondsAgo(60), secondsAgo(-600)];
  const [running, ended] = [await overdue(startAt, stopAt), await overdue(startAt, stopAt)];
  const { runs, schedules } = services();
  for (const id of [running, ended]) await runs.startDue(id);
  await db.job.updateMany({ where: { scheduleId: ended }, data: { state: 'COMPLETE' } });
  const later = new Date(stopAt.getTime() + 60_000);
  const windows = [{ startAt: timeOf(startAt.getTime()), stopAt: timeOf(later.getTime()) }];
  for (const id of [running, ended]) await schedules.update(id, { windows }, viewer);
  const [job] = (await row(running)).jobs;
  expect(job?.stopAt).toEqual(later);
  expect(told).toEqual([{ jobId: job?.id, stopAt: later }]);
  expect((await row(ended)).jobs[0]?.stopAt).toEqual(stopAt);
});

test('a job that goes on after its end is told again', async () => {
  const id = await overdue(secondsAgo(60), secondsAgo(-600));
  const { runs, upkeep } = services();
  await runs.startDue(id);
  const stopAt = new Date(Date.now() - 60_000);
  const [job] = await db.job.updateManyAndReturn({ where: { scheduleId: id }, data: { stopAt, state: 'RECORDING' } });
  await db.schedule.updateMany({ data: { toldVersion: 9 } });
  await upkeep.tell();
  expect(told).toEqual([{ jobId: job?.id, stopAt }]);
});

test('a recording takes the place of a run that a schedule has started, and of none that its client has', async () => {
  const [startAt, stopAt] = [secondsAgo(60), secondsAgo(-600)];
  const [byClient, bySchedule] = [
    await createRecordingRow(db, viewer.projectId, { active: true }),
    await createRecordingRow(db, viewer.projectId, { active: true }),
  ];
  const theirs = await createRunRow(db, viewer.projectId, byClient, 'RECORDING');
  const before = await createRunRow(db, viewer.projectId, bySchedule, 'RECORDING');
  const first = await overdue(startAt, stopAt, { recordingId: byClient });
  const second = await overdue(startAt, stopAt, { recordingId: bySchedule });
  await db.job.update({ where: { id: before }, data: { scheduleId: first } });
  const { runs } = services();
  for (const id of [first, second]) await runs.startDue(id);
  expect(await db.job.findMany({ where: { recordingId: byClient }, select: { id: true } })).toEqual([{ id: theirs }]);
  expect((await row(second)).jobs).toMatchObject([{ recordingId: bySchedule, kind: 'RECORDING', stopAt }]);
  expect((await row(first)).lastRunAt).toBeNull();
});
