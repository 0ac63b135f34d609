import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { childEnvironment, loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import { admit, type Pool, type Room } from '../../src/jobs/admission.js';
import { expectedBytes } from '../../src/jobs/bitrate.js';
import { createCaptures } from '../../src/services/captures.js';
import { createPlacement } from '../../src/services/placement.js';
import { createTransitions } from '../../src/services/transitions.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { createJobActivities } from '../../worker/activities/jobs.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const room = (machineId: string, more: Partial<Room> = {}): Room => ({
  ...{ machineId, jobs: { encode: 0, copy: 0 }, freeSlots: { encode: 2, copy: 2 } },
  ...{ freeBytes: 100, freeBytesWhenIdle: 100 },
  ...more,
});
const job = (jobId: string, bytes = 10, pool: Pool = 'encode') => ({ jobId, expectedBytes: bytes, pool });
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
    expect(places([job('a', 60)], [room('x', { freeBytes: 50 }), room('y', { jobs: { encode: 1, copy: 0 } })])).toEqual(
      { a: 'y' },
    );
  });

  test('two jobs do not get the same room on a disk', () => {
    expect(places([job('a', 60), job('b', 60)], [room('x', { freeBytesWhenIdle: 0 })])).toEqual({ a: 'x' });
  });

  test('streams that are copied have places of their own, and neither kind waits for the other', () => {
    const waiting = [job('a'), job('b'), job('c', 10, 'copy'), job('d', 10, 'copy'), job('e', 10, 'copy')];
    expect(places(waiting, [room('x', { freeSlots: { encode: 1, copy: 2 } })])).toEqual({ a: 'x', c: 'x', d: 'x' });
    expect(places([job('a', 10, 'copy')], [room('x', { freeSlots: { encode: 5, copy: 0 } })])).toEqual({});
    const busy = room('x', { jobs: { encode: 0, copy: 3 }, freeSlots: { encode: 2, copy: 9 } });
    expect(places([job('a', 10, 'copy')], [busy, room('y', { jobs: { encode: 1, copy: 0 } })])).toEqual({ a: 'y' });
  });

  test('a job too large for every machine holds up nobody', () => {
    expect(places([job('huge', 1_000), job('small')], [room('x')])).toEqual({ small: 'x' });
  });

  test('a job that fits once the present ones have ended is not overtaken where it will go, and elsewhere it is', () => {
    const busy = { freeBytes: 30, jobs: { encode: 1, copy: 0 } };
    expect(places([job('large', 80), job('small')], [room('x', busy)])).toEqual({});
    expect(
      places([job('large', 80), job('small')], [room('x', busy), room('y', { ...busy, freeBytesWhenIdle: 60 })]),
    ).toEqual({ small: 'y' });
  });

  test('a place is kept for who is to launch soon, but not from whoever was interrupted', () => {
    const x = room('x', { freeSlots: encode(1) });
    expect(admit([job('a')], [x], [job('soon')])).toEqual([]);
    expect(admit([job('a'), { ...job('b'), isInterrupted: true }], [x], [job('soon')])).toEqual([
      { jobId: 'b', machineId: 'x' },
    ]);
    expect(admit([job('a')], [x], [job('soon', 10, 'copy')])).toEqual([{ jobId: 'a', machineId: 'x' }]);
    expect(admit([job('a', 60)], [room('x')], [job('soon', 60)])).toEqual([]);
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
  const config = loadConfig(childEnvironment({ TEMPORAL_ADDRESS: inject('stack').temporalAddress }));
  const client = createTemporalClient(config);

  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    projectId = await createProject(db);
  });
  beforeEach(async () => {
    await db.placement.deleteMany();
    await db.machine.deleteMany();
  });
  afterAll(async () => {
    await client.connection.close();
    await own.remove();
  });

  const placement = () => createPlacement({ db, engine: createEngine(client), config, log: pino({ level: 'silent' }) });

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
    await db.job.update({ where: { id: jobId }, data: { recordingId, kind: 'RECORDING', source } });
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
    await machine('n', null);
    await placement().run();
    expect(await machineOf(jobId)).toBe('n');
    // The same request, made again because its answer was lost.
    await placement().request(jobId, 'm');
    expect(await machineOf(jobId)).toBe('n');
  });

  test('a job that expires for want of disk says so', async () => {
    await machine('m', gigabyte);
    const large = await waiting(5n * gigabyte);
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    const activities = createJobActivities({
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
