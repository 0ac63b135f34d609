/** What schedules record: it begins with the window, and stops at its end, whoever was there to see to it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, ScheduleNotFoundError } from '@temporalio/client';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { alarmId } from '../../src/jobs/schedule-messages.js';
import { createScheduleUpkeep } from '../../src/services/schedule-upkeep.js';
import { createAlarms } from '../../src/temporal/alarms.js';
import { createTemporalClient } from '../../src/temporal/client.js';
import { api } from '../testkit/api.js';
import { cardMaster } from '../testkit/card-master.js';
import { livePage, servePages } from '../testkit/host.js';
import { holdPlacement } from '../testkit/placement.js';
import { createRecordingKit, type RecordingKit, type TestRecording } from '../testkit/recordings.js';
import { createScheduleKit, type ScheduleKit, type TestSchedule, windowIn } from '../testkit/schedules.js';
import { sendTo } from '../testkit/sent-card.js';

const stack = inject('stack');
let kit: ScheduleKit;
let recordings: RecordingKit;
let db: Database;
let temporal: Client;
beforeAll(async () => {
  kit = createScheduleKit(stack);
  recordings = createRecordingKit(stack);
  db = createDatabase(stack.databaseUrl);
  temporal = createTemporalClient(loadConfig({ TEMPORAL_ADDRESS: stack.temporalAddress }));
  await cardMaster();
}, 120_000);
afterAll(async () => {
  await temporal.connection.close();
  await db.$disconnect();
  await recordings.close();
  await kit.close();
});

async function create(input: Parameters<ScheduleKit['create']>[0]): Promise<TestSchedule> {
  const schedule = await kit.create(input);
  onTestFinished(() => schedule.remove().catch(() => {}));
  return schedule;
}
async function newRecording(active: boolean): Promise<TestRecording> {
  const recording = await recordings.create({ input: { type: 'SRT_SERVER' }, active });
  onTestFinished(() => recording.remove().catch(() => {}));
  return recording;
}
const page = async (): Promise<string> => `${await servePages({ '/': livePage() })}/`;
/** How late a recorder that was told to stop may have recorded its last picture. */
const lateMs = 2_000;
const untilAlarm = (schedule: TestSchedule, isThere: boolean) =>
  expect.poll(() => hasAlarm(schedule), { timeout: 20_000, interval: 200 }).toBe(isThere);
const hasAlarm = (schedule: TestSchedule): Promise<boolean> =>
  temporal.schedule
    .getHandle(alarmId(schedule.scheduleId))
    .describe()
    .then(
      () => true,
      (error) => {
        if (error instanceof ScheduleNotFoundError) return false;
        throw error;
      },
    );
/** As if the engine's store had been lost. */
const loseAlarm = (schedule: TestSchedule) => temporal.schedule.getHandle(alarmId(schedule.scheduleId)).delete();

test('a page is recorded from the beginning of the window to its end, and no longer', async () => {
  const url = await page();
  const { window, startMs, stopMs } = windowIn(4, 22);
  const schedule = await create({ windows: [window], archive: { url, name: 'Show' } });
  expect(await schedule.facts()).toMatchObject({
    ...{ nextRunAt: new Date(startMs).toISOString(), lastRunAt: null, runs: { totalCount: 0 } },
  });
  const recording = await schedule.until('RECORDING');
  expect(recording).toMatchObject({
    ...{ kind: 'ARCHIVE', stopAt: new Date(stopMs).toISOString(), deadlineAt: new Date(stopMs).toISOString() },
    schedule: { id: schedule.id },
  });
  const run = await schedule.until('COMPLETE');
  expect(run.reason).toBe('WINDOW_ENDED');
  const [startedMs, stoppedMs] = [run.startedAt, run.stoppedAt].map((at) => new Date(at as string).getTime()) as [
    number,
    number,
  ];
  expect(startedMs).toBeGreaterThan(startMs);
  expect(stoppedMs).toBeGreaterThan(stopMs - 500);
  expect(stoppedMs).toBeLessThan(stopMs + lateMs);
  const [file] = run.files.nodes.filter(({ kind }) => kind === 'VIDEO');
  const windowSeconds = (stopMs - startedMs) / 1_000;
  expect(file?.duration).toBeGreaterThan(windowSeconds - 1);
  expect(file?.duration).toBeLessThan(windowSeconds + lateMs / 1_000);
  const { lastRunAt, nextRunAt, lastError } = await schedule.facts();
  const nextDay = new Date(startMs + 24 * 3_600_000).toISOString();
  expect({ lastRunAt, nextRunAt, lastError }).toEqual({
    ...{ lastRunAt: new Date(startMs).toISOString(), nextRunAt: nextDay, lastError: null },
  });
}, 120_000);

test('a run that waits for a recorder until the window ends has expired with it, and is not taken up later', async () => {
  const url = await page();
  const { window, stopMs } = windowIn(3, 5);
  const release = await holdPlacement();
  const schedule = await create({ windows: [window], archive: { url } });
  const waiting = await schedule.until('QUEUED');
  expect(waiting.deadlineAt).toBe(new Date(stopMs).toISOString());
  const run = await schedule.until('EXPIRED');
  expect(run.reason).toBe('WINDOW_ENDED');
  await release();
  expect((await schedule.until('EXPIRED')).startedAt).toBeNull();
}, 60_000);

test('a run that waits to be begun expires at the end of the window too', async () => {
  const url = await page();
  const { window } = windowIn(3, 20);
  const schedule = await create({ windows: [window], archive: { url, autostart: false } });
  await schedule.until('STANDBY');
  expect(await schedule.until('EXPIRED')).toMatchObject({ reason: 'WINDOW_ENDED', recordedDuration: null });
}, 60_000);

test('a run that is paused when the window ends keeps what it has', async () => {
  const url = await page();
  const { window } = windowIn(3, 18);
  const task = { payload: { layout: 'FREESTYLE' as const, url, format: 'MP4' as const } };
  const schedule = await create({ windows: [window], task });
  const { id } = await schedule.until('RECORDING');
  await sleep(2_000);
  await api().get('mutation($id: ID!) { pauseJob(input: { jobId: $id }) { __typename } }', { id });
  await schedule.until('PAUSED');
  const run = await schedule.until('COMPLETE');
  expect(run).toMatchObject({ kind: 'TASK', reason: 'WINDOW_ENDED' });
  expect(run.recordedDuration).toBeGreaterThan(1);
}, 60_000);

describe('the end of a window that is open', () => {
  test('moves the end of its run, to earlier and to later', async () => {
    const url = await page();
    const { window, startMs } = windowIn(3, 600);
    const schedule = await create({ windows: [window], archive: { url } });
    await schedule.until('RECORDING');
    const timeOf = (ms: number) => new Date(ms).toISOString().slice(11, 19);
    await schedule.update({ windows: [{ ...window, stopAt: timeOf(startMs + 20_000) }] });
    expect((await schedule.until('RECORDING')).stopAt).toBe(new Date(startMs + 20_000).toISOString());
    await schedule.update({ windows: [{ ...window, stopAt: timeOf(startMs + 28_000) }] });
    const run = await schedule.until('COMPLETE');
    expect(run.reason).toBe('WINDOW_ENDED');
    const stoppedMs = new Date(run.stoppedAt as string).getTime();
    expect(stoppedMs).toBeGreaterThan(startMs + 27_500);
    expect(stoppedMs).toBeLessThan(startMs + 28_000 + lateMs);
  }, 90_000);

  test('that was moved while nobody could be told counts all the same', async () => {
    const url = await page();
    const { window, startMs, stopMs } = windowIn(3, 16);
    const schedule = await create({ windows: [window], archive: { url } });
    const { id } = await schedule.until('RECORDING');
    // As if the API had been killed between its transaction and the engine.
    const jobId = Buffer.from(id, 'base64url').toString().split(':')[1] as string;
    const stopAt = new Date(stopMs + 6_000);
    await db.job.update({ where: { id: jobId }, data: { stopAt } });
    const run = await schedule.until('COMPLETE');
    expect(new Date(run.stoppedAt as string).getTime()).toBeGreaterThan(startMs + 21_500);
  }, 90_000);

  test('stays for its run when the schedule is paused, has other windows, or is deleted', async () => {
    const url = await page();
    const { window, stopMs } = windowIn(3, 16);
    const schedule = await create({ windows: [window], archive: { url } });
    const { id } = await schedule.until('RECORDING');
    await schedule.update({ isPaused: true });
    await schedule.update({ windows: [{ startAt: '00:00', stopAt: '00:01' }] });
    await schedule.remove();
    await expect(schedule.facts()).rejects.toThrow('gone');
    const ended = async () => {
      const { job } = await api().get<{ job: { state: string; reason: string; stopAt: string; schedule: null } }>(
        'query($id: ID!) { job(id: $id) { state reason stopAt schedule { id } } }',
        { id },
      );
      return job;
    };
    await expect.poll(async () => (await ended()).state, { timeout: 40_000 }).toBe('COMPLETE');
    expect(await ended()).toEqual({
      ...{ state: 'COMPLETE', reason: 'WINDOW_ENDED', stopAt: new Date(stopMs).toISOString(), schedule: null },
    });
    await untilAlarm(schedule, false);
  }, 90_000);
});

describe('a recording', () => {
  test('is run in the window, and is not to be running after it', async () => {
    const recording = await newRecording(false);
    const { window } = windowIn(3, 18);
    const schedule = await create({ windows: [window], recordingId: recording.id });
    await schedule.until('STARTING', 'RECORDING');
    await sendTo(recording, { type: 'SRT_SERVER' });
    expect((await recording.facts()).active).toBe(true);
    const run = await schedule.until('COMPLETE');
    expect(run).toMatchObject({ kind: 'RECORDING', reason: 'WINDOW_ENDED' });
    expect(run.recordedDuration).toBeGreaterThan(5);
    expect((await recording.run()).id).toBe(run.id);
    const row = () => db.recording.findUniqueOrThrow({ where: { id: recording.recordingId } });
    await expect.poll(async () => (await row()).active, { timeout: 20_000 }).toBe(false);
    // It can be run as ever.
    await recording.start();
    expect((await recording.run()).id).not.toBe(run.id);
    await sleep(5_000);
    expect((await row()).active).toBe(true);
  }, 90_000);

  test('that its client runs already is left alone, also at the end of the window', async () => {
    const recording = await newRecording(true);
    const own = await recording.run();
    const { window, startMs, stopMs } = windowIn(3, 4);
    const schedule = await create({ windows: [window], recordingId: recording.id });
    const nextDay = new Date(startMs + 24 * 3_600_000);
    const row = () => db.schedule.findUniqueOrThrow({ where: { id: schedule.scheduleId } });
    await expect.poll(async () => (await row()).dueAt, { timeout: 20_000 }).toEqual(nextDay);
    await sleep(Math.max(0, stopMs - Date.now()) + 3_000);
    expect(await recording.run()).toMatchObject({ id: own.id, state: expect.stringMatching(/STARTING|QUEUED/) });
    expect((await schedule.facts()).runs.totalCount).toBe(0);
  }, 60_000);

  test('that is deleted cannot be run: it is said once, where it can be seen and followed', async () => {
    const recording = await recordings.create({ input: { type: 'SRT_SERVER' }, active: false });
    const { window, startMs } = windowIn(4, 30);
    const schedule = await create({ windows: [window], recordingId: recording.id });
    const socket = await api().connect();
    onTestFinished(() => socket.close());
    await socket.init();
    socket.subscribe(
      'events',
      `subscription { events(filter: { types: [SCHEDULE_RUN_FAILED] }) {
        __typename ... on ScheduleRunFailed { startAt message schedule { id } } } }`,
    );
    await recording.remove();
    const startAt = new Date(startMs).toISOString();
    for (;;) {
      const { payload } = await socket.next('events');
      const { events } = (payload as { data: { events: { __typename: string; schedule?: { id: string } } } }).data;
      if (events.schedule?.id !== schedule.id) continue;
      expect(events).toMatchObject({ startAt, message: expect.stringContaining('no such recording') });
      break;
    }
    expect(await schedule.facts()).toMatchObject({
      ...{ lastRunAt: null, recording: null, runs: { totalCount: 0 } },
      lastError: { startAt, message: expect.stringContaining('no such recording') },
    });
    const told = () =>
      db.event.count({
        where: { type: 'ScheduleRunFailed', payload: { path: ['scheduleId'], equals: schedule.scheduleId } },
      });
    await sleep(5_000);
    expect(await told()).toBe(1);
  }, 60_000);
});

describe('when the engine has lost its schedule', () => {
  test('a window that begins is run all the same, and once', async () => {
    const url = await page();
    const { window } = windowIn(9, 8);
    const release = await holdPlacement();
    const schedule = await create({ windows: [window], archive: { url } });
    await untilAlarm(schedule, true);
    await loseAlarm(schedule);
    await schedule.until('QUEUED');
    expect(await hasAlarm(schedule)).toBe(false);
    await schedule.until('EXPIRED');
    expect((await schedule.facts()).runs.totalCount).toBe(1);
    await release();
  }, 60_000);

  test('it is set again; and what is changed, paused or deleted is so there too', async () => {
    const schedule = await create({
      ...{ windows: [{ startAt: '12:00', stopAt: '13:30', daysOfWeek: ['MONDAY'] }], timezone: 'Asia/Kolkata' },
      ...{ from: '2030-01-01T00:00:00.000Z', task: { payload: { layout: 'FREESTYLE', url: await page() } } },
    });
    await untilAlarm(schedule, true);
    await loseAlarm(schedule);
    const alarms = createAlarms(temporal);
    const unused = undefined as never;
    const upkeep = createScheduleUpkeep({ db, alarms, engine: unused, runs: unused, log: pino({ level: 'silent' }) });
    await upkeep.compare();
    const described = () => temporal.schedule.getHandle(alarmId(schedule.scheduleId)).describe();
    const { spec, policies, info, state } = await described();
    expect(policies).toMatchObject({ overlap: 'ALLOW_ALL', catchupWindow: 2.5 * 3_600_000 });
    expect(spec.timezone).toMatch(/^Asia\/(Kolkata|Calcutta)$/);
    // Both say the same.
    const { nextRuns } = await schedule.facts();
    expect(info.nextActionTimes.slice(0, 3).map((at) => at.toISOString())).toEqual(
      nextRuns.map(({ startAt }) => startAt),
    );
    expect(state.paused).toBe(false);
    await schedule.update({ isPaused: true });
    await expect.poll(async () => (await described()).state.paused, { timeout: 20_000 }).toBe(true);
    await schedule.remove();
    await untilAlarm(schedule, false);
  }, 60_000);
});
