import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db.js';
import { createEventSources } from '../../src/events/event-sources.js';
import type { Position } from '../../src/events/position.js';
import { removeOldEvents } from '../../src/events/retention.js';
import { installationEpoch } from '../../src/installation.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { happen, happenOften } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const hourMs = 3_600_000;
// Events are passed once every transaction on the server has ended that is older, also those of other tests.
const patience = { timeout: 20_000, interval: 50 };

describe('events that are too old', () => {
  let own: OwnDatabase;
  let db: Database;
  let epoch: string;
  let projectId: string;
  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    epoch = await installationEpoch(db);
    projectId = await createProject(db);
  });
  afterAll(() => own.remove());
  beforeEach(async () => {
    await db.$executeRaw`TRUNCATE event, job CASCADE`;
    await db.installation.updateMany({ data: { eventsRemovedXid: 0, eventsRemovedId: 0 } });
  });

  /** A job of so many events. */
  async function jobWith(events: number): Promise<string> {
    const jobId = await createJobRow(db, projectId);
    for (let count = 1; count < events; count++) await happen(db, jobId);
    return jobId;
  }

  const age = (jobId: string, upTo: number) =>
    db.$executeRaw`UPDATE event SET occurred_at = now() - interval '2 hours' WHERE job_id = ${jobId}::uuid AND job_seq <= ${upTo}`;

  async function sequences(jobId: string): Promise<number[]> {
    const rows = await db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } });
    return rows.map(({ jobSequence }) => jobSequence as number);
  }

  async function positionOf(jobId: string, sequence: number): Promise<Position> {
    const [row] = await db.$queryRaw<{ xid: string; id: bigint }[]>`
      SELECT xid::text, id FROM event WHERE job_id = ${jobId}::uuid AND job_seq = ${sequence}`;
    return { xid: BigInt(row?.xid as string), id: row?.id as bigint };
  }

  async function watermark(): Promise<Position> {
    const { eventsRemovedXid: xid, eventsRemovedId: id } = await db.installation.findFirstOrThrow();
    return { xid, id };
  }

  /** Removes old events until it is written down that they are gone up to there, and no further; answers how many were removed. */
  async function removeUpTo(place: Position, processes = 1): Promise<number> {
    let removed = 0;
    const remove = async () => {
      const counts = await Promise.all(Array.from({ length: processes }, () => removeOldEvents(db, hourMs)));
      for (const count of counts) removed += count;
      return watermark();
    };
    await expect.poll(remove, patience).toEqual(place);
    expect(await removeOldEvents(db, hourMs)).toBe(0);
    expect(await watermark()).toEqual(place);
    return removed;
  }

  test('go; the latest of each job and younger ones stay, and how far they are gone is written down', async () => {
    const ended = await jobWith(5);
    const lively = await jobWith(4);
    await age(ended, 5);
    await age(lively, 3);
    expect(await removeUpTo(await positionOf(lively, 3))).toBe(6);
    // The third of the lively one stays until the fourth is as old.
    expect([await sequences(ended), await sequences(lively)]).toEqual([[5], [3, 4]]);
    await age(lively, 4);
    expect(await removeUpTo(await positionOf(lively, 4))).toBe(1);
    expect([await sequences(ended), await sequences(lively)]).toEqual([[5], [4]]);
  });

  test('behind a younger one stay until that is as old', async () => {
    const [first, second] = [await jobWith(2), await jobWith(3)];
    await age(second, 3);
    expect(await removeUpTo({ xid: 0n, id: 0n })).toBe(0);
    await age(first, 2);
    expect(await removeUpTo(await positionOf(second, 3))).toBe(3);
    expect([await sequences(first), await sequences(second)]).toEqual([[2], [3]]);
  });

  test('are answered with a snapshot when somebody resumes from before their end, and with all that follow from there on', async () => {
    const jobId = await jobWith(6);
    const source = createEventSources({ db, epoch }).job(jobId, null);
    const [early, end] = [await positionOf(jobId, 2), await positionOf(jobId, 4)];
    const told = async (from: Position) => (await source.read(from))?.map(({ jobSequence }) => jobSequence) ?? null;
    await expect.poll(() => told(early), patience).toEqual([3, 4, 5, 6]);
    await age(jobId, 4);
    await removeUpTo(end);
    expect(await told(early)).toBeNull();
    expect(await told(end)).toEqual([5, 6]);
    expect((await source.snapshot()).item).toMatchObject({ kind: 'snapshot', sequence: 6 });
  });

  test('of a job that waited for long go too, once it goes on', async () => {
    const waiting = await jobWith(1);
    const other = await jobWith(2);
    await age(waiting, 1);
    await age(other, 2);
    expect(await removeUpTo(await positionOf(other, 2))).toBe(1);
    expect(await sequences(waiting)).toEqual([1]);
    await happen(db, waiting);
    await age(waiting, 2);
    expect(await removeUpTo(await positionOf(waiting, 2))).toBe(1);
    expect(await sequences(waiting)).toEqual([2]);
  });

  test('are gone exactly as far as is written down when their removal is cut off, and the rest goes the next time', async () => {
    const jobId = await jobWith(1);
    await happenOften(db, jobId, 4_999);
    await age(jobId, 5_000);
    const beyond = await positionOf(jobId, 4_001);
    // What the end of the process, or of the connection, in the middle of a batch comes to.
    await db.$executeRawUnsafe(`CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.events_removed_id >= ${beyond.id} THEN RAISE 'cut off'; END IF; RETURN NEW; END $$`);
    await db.$executeRaw`CREATE TRIGGER cut_off BEFORE UPDATE ON installation FOR EACH ROW EXECUTE FUNCTION cut_off()`;
    const attempt = () => removeOldEvents(db, hourMs).then(String, (error: Error) => error.message);
    await expect.poll(attempt, patience).toContain('cut off');
    expect(await watermark()).toEqual(await positionOf(jobId, 4_000));
    expect(await sequences(jobId)).toEqual(Array.from({ length: 1_001 }, (_, index) => 4_000 + index));
    await db.$executeRaw`DROP TRIGGER cut_off ON installation`;
    expect(await removeUpTo(await positionOf(jobId, 5_000))).toBe(1_000);
    expect(await sequences(jobId)).toEqual([5_000]);
  });

  test('go once when several processes remove them, and all of them', async () => {
    const jobs = [await jobWith(1), await jobWith(1), await jobWith(1)];
    for (const jobId of jobs) {
      await happenOften(db, jobId, 2_999);
      await age(jobId, 3_000);
    }
    expect(await removeUpTo(await positionOf(jobs[2] as string, 3_000), 4)).toBe(3 * 2_999);
    for (const jobId of jobs) expect(await sequences(jobId)).toEqual([3_000]);
  });

  test('are not passed over when an older transaction may yet write one before them', async () => {
    const [slow, quick] = [await jobWith(1), await jobWith(2)];
    await age(slow, 1);
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let begun: () => void = () => {};
    const begins = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const writing = db.$transaction(async (transaction) => {
      await transaction.$executeRaw`UPDATE job SET event_sequence = 2 WHERE id = ${slow}::uuid`;
      begun();
      await released;
      await transaction.$executeRaw`
        INSERT INTO event (project_id, job_id, job_seq, type, payload, occurred_at)
        SELECT project_id, id, 2, 'JobBegun', '{"type":"JobBegun"}', now() - interval '2 hours' FROM job WHERE id = ${slow}::uuid`;
    }, patience);
    await begins;
    for (let count = 0; count < 3; count++) await happen(db, quick);
    await age(quick, 5);
    // What is older than the open transaction goes, nothing that was written since.
    expect(await removeUpTo(await positionOf(quick, 2))).toBe(1);
    expect(await sequences(quick)).toEqual([2, 3, 4, 5]);
    release();
    await writing;
    const end = await positionOf(quick, 5);
    await removeUpTo(end);
    expect([await sequences(slow), await sequences(quick)]).toEqual([[2], [5]]);
  });
});
