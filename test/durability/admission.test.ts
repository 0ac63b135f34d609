import { setTimeout as sleep } from 'node:timers/promises';
import { msToTs } from '@temporalio/common/lib/time.js';
import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { childEnvironment, loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import { type Amounts, admit, type Room, type WaitingJob } from '../../src/jobs/admission.js';
import { expectedBytes } from '../../src/jobs/bitrate.js';
import type { Source } from '../../src/jobs/capture.js';
import { coresOfSlot, costOf } from '../../src/jobs/cost.js';
import { jobWorkflowId } from '../../src/jobs/messages.js';
import { createCaptures } from '../../src/services/captures.js';
import { explainWait, placesLeft } from '../../src/services/machine-rooms.js';
import { createPlacement } from '../../src/services/placement.js';
import { createTransitions } from '../../src/services/transitions.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { createJobActivities } from '../../worker/activities/jobs.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const amounts = (more: Partial<Amounts> = {}): Amounts => ({
  ...{ cores: { encode: 4, copy: 4 }, memoryBytes: 100, displays: 4, diskBytes: 100 },
  ...more,
});
const room = (machineId: string, more: Partial<Room> = {}): Room => ({
  ...{ machineId, jobs: { encode: 0, copy: 0 }, freeSlots: { encode: 2, copy: 2 } },
  ...{ free: amounts(), whenIdle: amounts() },
  ...more,
});
const withDisk = (free: number, whenIdle = 100): Partial<Room> => ({
  ...{ free: amounts({ diskBytes: free }), whenIdle: amounts({ diskBytes: whenIdle }) },
});
const job = (jobId: string, more: Partial<WaitingJob> = {}): WaitingJob => ({
  ...{ jobId, pool: 'encode', cores: 1, memoryBytes: 10, displays: 1, diskBytes: 10 },
  ...more,
});
const disk = (diskBytes: number) => ({ diskBytes });
const copied = { pool: 'copy', displays: 0 } as const;
const encode = (count: number) => ({ encode: count, copy: 2 });
const places = (waiting: ReturnType<typeof job>[], rooms: Room[]) =>
  Object.fromEntries(admit(waiting, rooms).map(({ jobId, machineId }) => [jobId, machineId]));

describe('admission', () => {
  test('first in, first out, to the emptiest machine that has a slot and room on its disk', () => {
    expect(places([job('a'), job('b'), job('c')], [room('x'), room('y', { freeSlots: encode(1) })])).toEqual({
      a: 'x',
      b: 'y',
      c: 'x',
    });
    expect(places([job('a'), job('b')], [room('x', { freeSlots: encode(1) })])).toEqual({ a: 'x' });
    expect(
      places([job('a', disk(60))], [room('x', withDisk(50)), room('y', { jobs: { encode: 1, copy: 0 } })]),
    ).toEqual({ a: 'y' });
  });

  test('two jobs do not get the same room on a disk', () => {
    expect(places([job('a', disk(60)), job('b', disk(60))], [room('x', withDisk(100, 0))])).toEqual({ a: 'x' });
  });

  test('streams that are copied have places of their own, and neither kind waits for the other', () => {
    const waiting = [job('a'), job('b'), job('c', copied), job('d', copied), job('e', copied)];
    expect(places(waiting, [room('x', { freeSlots: { encode: 1, copy: 2 } })])).toEqual({ a: 'x', c: 'x', d: 'x' });
    expect(places([job('a', copied)], [room('x', { freeSlots: { encode: 5, copy: 0 } })])).toEqual({});
    const busy = room('x', { jobs: { encode: 0, copy: 3 }, freeSlots: { encode: 2, copy: 9 } });
    expect(places([job('a', copied)], [busy, room('y', { jobs: { encode: 1, copy: 0 } })])).toEqual({ a: 'y' });
  });

  test('a job too large for every machine holds up nobody', () => {
    expect(places([job('huge', disk(1_000)), job('small')], [room('x')])).toEqual({ small: 'x' });
  });

  test('a job that fits once the present ones have ended is not overtaken where it will go, and elsewhere it is', () => {
    const busy = { ...withDisk(30), jobs: { encode: 1, copy: 0 } };
    const waiting = [job('large', disk(80)), job('small'), job('copied', copied)];
    expect(places(waiting, [room('x', busy)])).toEqual({});
    expect(places(waiting, [room('x', busy), room('y', { ...busy, ...withDisk(30, 60) })])).toEqual({
      ...{ small: 'y', copied: 'y' },
    });
  });

  test('pages that take more processors than others take the room of several, and streams go on beside them', () => {
    const x = room('x', { freeSlots: encode(4), free: amounts({ cores: { encode: 2.5, copy: 4 } }) });
    const waiting = [job('a', { cores: 1.5 }), job('b', { cores: 1.5 }), job('c'), job('d', copied)];
    // The second gets its turn before those behind it.
    expect(places(waiting, [x])).toEqual({ a: 'x', d: 'x' });
    expect(places(waiting, [x, room('y')])).toEqual({ a: 'x', b: 'y', c: 'x', d: 'y' });
  });

  test('one that takes more processors or memory than there are gets a machine of its own', () => {
    const huge = job('huge', { cores: 9, memoryBytes: 900 });
    expect(places([huge, job('a')], [room('x')])).toEqual({ huge: 'x' });
    expect(places([huge], [room('x', { free: amounts({ cores: { encode: 3, copy: 4 } }) })])).toEqual({});
    expect(places([huge], [room('x', { free: amounts({ memoryBytes: 90 }) })])).toEqual({});
  });

  test('what was not begun yet has its memory and its screen all the same', () => {
    const waiting = [job('a', { memoryBytes: 60 }), job('b', { memoryBytes: 60 })];
    expect(places(waiting, [room('x')])).toEqual({ a: 'x' });
    expect(places([job('a'), job('b')], [room('x', { free: amounts({ displays: 1 }) })])).toEqual({ a: 'x' });
  });

  test('places that larger jobs take up are not left for others', () => {
    const cores = { encode: 2 * coresOfSlot.encode, copy: 0 };
    expect(placesLeft(room('x', { freeSlots: encode(3), free: amounts({ cores }) }), 'encode')).toBe(2);
    expect(placesLeft(room('x', { freeSlots: encode(1), free: amounts({ cores }) }), 'encode')).toBe(1);
    const none = { encode: -0.2, copy: 0 };
    expect(placesLeft(room('x', { freeSlots: encode(1), free: amounts({ cores: none }) }), 'encode')).toBe(0);
  });

  test('a machine without screens takes what needs none', () => {
    const blind = room('blind', { free: amounts({ displays: 0 }), whenIdle: amounts({ displays: 0 }) });
    expect(places([job('page'), job('transcoded', { displays: 0 })], [blind])).toEqual({ transcoded: 'blind' });
  });

  test('a place is kept for who is to launch soon, but not from whoever was interrupted', () => {
    const x = room('x', { freeSlots: encode(1) });
    expect(admit([job('a')], [x], [job('soon')])).toEqual([]);
    expect(admit([job('a'), { ...job('b'), isInterrupted: true }], [x], [job('soon')])).toEqual([
      { jobId: 'b', machineId: 'x' },
    ]);
    expect(admit([job('a')], [x], [job('soon', copied)])).toEqual([{ jobId: 'a', machineId: 'x' }]);
    expect(admit([job('a', disk(60))], [room('x')], [job('soon', disk(60))])).toEqual([]);
  });

  test('what a job may need grows with its picture and its length', () => {
    const picture = { width: 1280, height: 720, fps: 30, maxDurationMs: 3_600_000 };
    // Half of 4 Mbit/s of picture and 128 kbit/s of sound for an hour, and the result of the same size.
    expect(expectedBytes(picture) / 1e9).toBeCloseTo(1.86, 1);
    expect(expectedBytes({ ...picture, maxDurationMs: 7_200_000 })).toBe(2 * expectedBytes(picture));
  });
});

describe('placing jobs', () => {
  let own: OwnDatabase;
  let db: Database;
  let projectId: string;
  const gigabyte = 1_000_000_000n;
  // Nobody works there: what is started stays as it began.
  const namespace = 'placing';
  const config = loadConfig(
    childEnvironment({ TEMPORAL_ADDRESS: inject('stack').temporalAddress, TEMPORAL_NAMESPACE: namespace }),
  );
  const client = createTemporalClient(config);
  const engine = createEngine(client);

  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    projectId = await createProject(db);
    await client.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
    // The server takes a moment to know it.
    const isKnown = () =>
      engine.isRunning('nobody').then(
        () => true,
        () => false,
      );
    while (!(await isKnown())) await sleep(100);
  });
  beforeEach(async () => {
    await db.placement.deleteMany();
    await db.machine.deleteMany();
  });
  afterAll(async () => {
    await client.connection.close();
    await own.remove();
  });

  const placement = () => {
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    return createPlacement({ ...{ db, wake, engine, transitions, config }, log: pino({ level: 'silent' }) });
  };

  async function waiting(expected: bigint): Promise<string> {
    const jobId = await createJobRow(db, projectId);
    await db.job.update({ where: { id: jobId }, data: { expectedBytes: expected } });
    await db.placement.create({ data: { jobId } });
    return jobId;
  }
  const machine = (id: string, freeBytes: bigint | null) =>
    db.machine.create({ data: { id, hostname: 'here', version: '1', slots: 3, freeBytes, lastSeenAt: new Date() } });
  const machineOf = async (jobId: string) => (await db.placement.findUniqueOrThrow({ where: { jobId } })).machineId;

  test('a job goes only where it fits beside what placed jobs will still write', async () => {
    await machine('m', 10n * gigabyte);
    const first = await waiting(8n * gigabyte);
    const second = await waiting(4n * gigabyte);
    const third = await waiting(gigabyte);
    await placement().run();
    expect(await machineOf(first)).toBe('m');
    expect(await machineOf(second)).toBeNull();
    // The second will fit when the first has ended: nobody takes that place from it.
    expect(await machineOf(third)).toBeNull();

    // What has been written is no longer to come: the disk itself shows it.
    await db.jobStats.create({
      data: {
        ...{ jobId: first, incarnation: 1, frames: 1, fps: 1, bitrate: 1, positionMs: 1, dropped: 0, duplicated: 0 },
        ...{ bytes: 6n * gigabyte, speed: 1, pageFrames: 1, progress: 1, updatedAt: new Date() },
      },
    });
    await placement().run();
    expect(await machineOf(second)).toBe('m');
    expect(await machineOf(third)).toBe('m');
  });

  async function ofRecording(recordingId: string, mode: 'COPY' | 'TRANSCODE' = 'COPY'): Promise<string> {
    const jobId = await waiting(1n);
    const source = { kind: 'stream', recording: { video: { mode } } };
    const { pool } = costOf(source as Source);
    await db.job.update({ where: { id: jobId }, data: { recordingId, kind: 'RECORDING', source, pool } });
    return jobId;
  }
  const recording = async (): Promise<string> => {
    const data = { id: uuid(), projectId, name: 'r', config: {}, inputType: 'HLS', format: 'MP4' };
    return (await db.recording.create({ data })).id;
  };

  test('streams take places of those that encode only where they are encoded', async () => {
    await machine('m', null);
    await db.machine.updateMany({ data: { slots: 1, copySlots: 1 } });
    const page = await waiting(1n);
    const copied = await ofRecording(await recording());
    const another = await ofRecording(await recording());
    const encoded = await ofRecording(await recording(), 'TRANSCODE');
    await placement().run();
    const places = await Promise.all([page, copied, another, encoded].map(machineOf));
    expect(places).toEqual(['m', 'm', null, null]);
    await db.machine.updateMany({ data: { slots: 2, copySlots: 1 } });
    await placement().run();
    expect([await machineOf(another), await machineOf(encoded)]).toEqual([null, 'm']);
  });

  test('no two runs of one recording record at once: the newest waits until the one before it records no more', async () => {
    await machine('m', null);
    await db.machine.updateMany({ data: { copySlots: 9 } });
    const recordingId = await recording();
    const first = await ofRecording(recordingId);
    await placement().run();
    const [second, third] = [await ofRecording(recordingId), await ofRecording(recordingId)];
    await placement().run();
    expect([await machineOf(first), await machineOf(second), await machineOf(third)]).toEqual(['m', null, null]);
    await db.job.update({ where: { id: first }, data: { state: 'FINALIZING' } });
    await placement().run();
    // A run that was replaced before it began is given up; it is not for it to record first.
    expect([await machineOf(second), await machineOf(third)]).toEqual([null, 'm']);
  });

  test('each project gets its turn, and of its own jobs the one of the highest priority goes first', async () => {
    await machine('m', null);
    await db.machine.updateMany({ data: { slots: 4 } });
    const other = await createProject(db);
    const flood = [];
    for (let each = 0; each < 6; each++) flood.push(await waiting(1n));
    const urgent = await waiting(1n);
    await db.job.update({ where: { id: urgent }, data: { priority: 2 } });
    const theirs = [await waiting(1n), await waiting(1n)];
    await db.job.updateMany({ where: { id: { in: theirs } }, data: { projectId: other } });
    await placement().run();
    const placed = await db.placement.findMany({ where: { machineId: 'm' }, select: { jobId: true } });
    expect(new Set(placed.map(({ jobId }) => jobId))).toEqual(new Set([urgent, flood[0], ...theirs]));
  });

  test('a place is kept for a scheduled job before it launches, and it is served first then', async () => {
    await machine('m', null);
    await db.machine.updateMany({ data: { slots: 1 } });
    const scheduled = await createJobRow(db, projectId);
    const launchAt = new Date(Date.now() + 30_000);
    await db.job.update({ where: { id: scheduled }, data: { state: 'SCHEDULED', launchAt, expectedBytes: 1n } });
    const eager = await waiting(1n);
    await placement().run();
    expect(await machineOf(eager)).toBeNull();
    await db.job.update({ where: { id: scheduled }, data: { state: 'QUEUED', launchAt: new Date() } });
    await placement().request(scheduled);
    await placement().run();
    expect([await machineOf(scheduled), await machineOf(eager)]).toEqual(['m', null]);
  });

  test('a machine that does not know its disk takes what comes', async () => {
    await machine('m', null);
    const large = await waiting(1_000n * gigabyte);
    await placement().run();
    expect(await machineOf(large)).toBe('m');
  });

  test('a job whose files are to be made takes no slot, goes to its own machine if that is there, and else to another', async () => {
    await machine('m', null);
    await machine('n', null);
    const finalizing = async (machineId: string) => {
      const jobId = await waiting(1n);
      await db.job.update({ where: { id: jobId }, data: { state: 'FINALIZING', machineId } });
      return jobId;
    };
    await db.machine.updateMany({ data: { slots: 1 } });
    const [recording, another] = [await waiting(1n), await waiting(1n)];
    await placement().run();
    const [own, lost] = [await finalizing('n'), await finalizing('gone')];
    await placement().run();
    expect(await machineOf(own)).toBe('n');
    expect(['m', 'n']).toContain(await machineOf(lost));
    expect([await machineOf(recording), await machineOf(another)].sort()).toEqual(['m', 'n']);
  });

  test('a job whose machine was lost is not placed there again before that has reported itself', async () => {
    await machine('m', null);
    const jobId = await waiting(1n);
    await placement().run();
    await placement().request(jobId, 'm');
    await placement().run();
    expect(await machineOf(jobId)).toBeNull();
    // It is still told of, as lost.
    const { lastSeenAt } = await db.machine.findUniqueOrThrow({ where: { id: 'm' } });
    expect(Date.now() - lastSeenAt.getTime()).toBeLessThan(60_000);
    await machine('n', null);
    await placement().run();
    expect(await machineOf(jobId)).toBe('n');
    // The same request, made again because its answer was lost.
    await placement().request(jobId, 'm');
    expect(await machineOf(jobId)).toBe('n');
  });

  test('a job that waits has no workflow: that begins, and knows its machine, when the job is placed', async () => {
    const jobId = await waiting(1n);
    await placement().run();
    expect(await engine.isRunning(jobId)).toBe(false);
    await machine('m', null);
    await placement().run();
    expect(await engine.isRunning(jobId)).toBe(true);
    expect((await db.placement.findUniqueOrThrow({ where: { jobId } })).toldAt).not.toBeNull();
    // The same machine, told again because the answer was lost.
    await db.placement.updateMany({ where: { jobId }, data: { toldAt: null } });
    await placement().run();
    const { events } = await client.workflow.getHandle(jobWorkflowId(jobId)).fetchHistory();
    const types = events?.map(({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName);
    expect(types?.filter(Boolean)).toEqual(['placed', 'placed']);
  });

  test('whoever waits past its deadline is given up, and whoever was placed before is not', async () => {
    const [late, placed, patient] = [await waiting(1n), await waiting(1n), await waiting(1n)];
    const deadlineAt = new Date(Date.now() - 1_000);
    await machine('m', null);
    await db.placement.update({ where: { jobId: placed }, data: { machineId: 'm' } });
    await db.job.updateMany({ where: { id: { in: [late, placed] } }, data: { deadlineAt } });
    await db.machine.updateMany({ data: { slots: 1 } });
    await placement().run();
    const states = await Promise.all(
      [late, placed, patient].map((id) => db.job.findUniqueOrThrow({ where: { id }, include: { placement: true } })),
    );
    expect(states.map(({ state, reason, placement: place }) => [state, reason, place?.machineId])).toEqual([
      ['EXPIRED', 'QUEUE_TIMEOUT', undefined],
      ['QUEUED', null, 'm'],
      ['QUEUED', null, null],
    ]);
    const events = await db.event.findMany({ where: { jobId: late }, orderBy: { jobSequence: 'asc' } });
    expect(events.map(({ payload }) => (payload as { state: string }).state)).toEqual(['QUEUED', 'EXPIRED']);
  });

  test('a job that ended between asking for a place and being given one holds none', async () => {
    const jobId = await createJobRow(db, projectId, 'CANCELED');
    await placement().request(jobId);
    expect(await db.placement.findUnique({ where: { jobId } })).toBeNull();
  });

  test('a job that expires for want of memory, or of anybody who shows pages, says so', async () => {
    const jobId = await waiting(1n);
    await db.job.update({ where: { id: jobId }, data: { displays: 1, memoryBytes: 2n * gigabyte } });
    await machine('m', null);
    await db.machine.updateMany({ data: { displays: 0 } });
    expect(await explainWait(db, jobId)).toMatch(/No recorder can show pages/);
    await db.machine.updateMany({ data: { displays: 1, memory: 4n * gigabyte, freeMemory: 4n * gigabyte } });
    expect(await explainWait(db, jobId)).toBeUndefined();
    const other = await waiting(1n);
    await db.job.update({ where: { id: other }, data: { memoryBytes: 2n * gigabyte } });
    await placement().run();
    expect(await machineOf(jobId)).toBe('m');
    expect(await machineOf(other)).toBeNull();
    expect(await explainWait(db, other)).toMatch(/enough memory in time: 2\.0 GB may be needed, 1\.6 GB at most/);
  });

  test('a job that expires for want of disk says so', async () => {
    await machine('m', gigabyte);
    const large = await waiting(5n * gigabyte);
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    const activities = createJobActivities({
      db,
      captures: createCaptures({ db, wake, transitions }),
      transitions,
      placement: placement(),
      wake,
    });
    await activities.transition({ jobId: large, to: 'EXPIRED', reason: 'QUEUE_TIMEOUT' });
    const { message } = await db.job.findUniqueOrThrow({ where: { id: large } });
    expect(message).toMatch(/room on its disk in time: 5\.0 GB may be needed, 1\.0 GB/);
  });
});
