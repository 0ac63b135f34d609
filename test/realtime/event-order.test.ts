import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { jobTopic } from '../../src/events/bus.js';
import { createEventSources, type EventSources } from '../../src/events/event-sources.js';
import { type Feed, startFeed } from '../../src/events/feed.js';
import { appendJobEvent } from '../../src/events/outbox.js';
import { formatCursor, parseCursor } from '../../src/events/position.js';
import { installationEpoch } from '../../src/installation.js';
import type { StreamItem } from '../../src/jobs/events.js';
import { follow } from '../testkit/follower.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

describe('a stream of events', () => {
  const url = inject('stack').databaseUrl;
  let db: Database;
  let feed: Feed;
  let epoch: string;
  let sources: EventSources;
  let projectId: string;

  beforeAll(async () => {
    db = createDatabase(url, 20);
    feed = startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} });
    await feed.ready;
    epoch = await installationEpoch(db);
    sources = createEventSources({ db, epoch });
    projectId = await createProject(db);
  });
  afterAll(async () => {
    await feed.close();
    await db.$disconnect();
  });

  const followJob = (jobId: string, after: string | null = null) => follow(feed, sources.job(jobId, after));
  const sequences = (items: StreamItem[]) => items.map(({ kind, sequence }) => `${kind} ${sequence}`);
  const events = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => `event ${from + index}`);

  test('begins with the present state, then tells every change once and in order, even if many write at the same time', async () => {
    const jobId = await createJobRow(db, projectId);
    const others = await Promise.all(Array.from({ length: 5 }, () => createJobRow(db, projectId)));
    const follower = followJob(jobId);
    expect((await follower.first(1))[0]).toMatchObject({
      kind: 'snapshot',
      sequence: 1,
      subject: { of: 'job', jobId },
    });
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        Promise.all([happen(db, jobId), happen(db, others[index % 5] as string)]),
      ),
    );
    expect(sequences(await follower.first(41))).toEqual(['snapshot 1', ...events(2, 41)]);
    follower.leave();
  });

  test('goes on after any cursor without loss or repeat, even if events are written meanwhile', async () => {
    const jobId = await createJobRow(db, projectId);
    for (let index = 0; index < 10; index++) await happen(db, jobId);
    const first = followJob(jobId);
    const [snapshot] = await first.first(1);
    first.leave();
    for (let index = 0; index < 5; index++) await happen(db, jobId);
    const resumed = followJob(jobId, (snapshot as StreamItem).cursor);
    await Promise.all(Array.from({ length: 5 }, () => happen(db, jobId)));
    expect(sequences(await resumed.first(10))).toEqual(events(12, 21));
    resumed.leave();
  });

  test('goes on from the table where more was missed than is remembered', async () => {
    const jobId = await createJobRow(db, projectId);
    const cursor = (await followJob(jobId).first(1))[0]?.cursor as string;
    // Statements of 1,000 each, for speed; three pages of the table.
    await db.$executeRaw`
      WITH job AS (UPDATE job SET event_sequence = event_sequence + 1200 WHERE id = ${jobId}::uuid RETURNING id, project_id)
      INSERT INTO event (project_id, job_id, job_seq, type, payload)
      SELECT job.project_id, job.id, 1 + number, 'JobFileAdded', '{"type":"JobFileAdded","name":"n","kind":"LOG","fileId":"x"}'
        FROM job, generate_series(1, 1200) AS number`;
    const late = startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} });
    await late.ready;
    // Nothing that is older than the last event is remembered here.
    late.bus.start({ xid: 2n ** 62n, id: 0n });
    const follower = follow(late, sources.job(jobId, cursor));
    expect(sequences(await follower.first(1_200))).toEqual(events(2, 1_201));
    follower.leave();
    await late.close();
  });

  test('an event is held back until every older transaction has ended, so that order never changes afterwards', async () => {
    const early = await createJobRow(db, projectId);
    const late = await createJobRow(db, projectId);
    const order: string[] = [];
    const unsubscribe = [early, late].map((jobId) =>
      feed.bus.subscribe(jobTopic(jobId), (told) => {
        for (const event of told) if (event.jobSequence === 2) order.push(event.jobId);
      }),
    );
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let wrote: () => void = () => {};
    const written = new Promise<void>((resolve) => {
      wrote = resolve;
    });
    const slow = db.$transaction(async (transaction) => {
      const job = await transaction.job.update({ where: { id: early }, data: { eventSequence: { increment: 1 } } });
      await appendJobEvent(transaction, job, { type: 'JobFileAdded', fileId: early, name: 'slow', kind: 'LOG' });
      wrote();
      await held;
    });
    await written;
    await happen(db, late);
    // While something waits the tailer looks every 10 ms: several looks must all have held the later event back.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(order).toEqual([]);
    release();
    await slow;
    await expect.poll(() => order).toEqual([early, late]);
    for (const stop of unsubscribe) stop();
  });

  test("keeps a job's own order in that of commits, even if an older transaction had to wait for a younger one", async () => {
    const project = await createProject(db);
    const jobId = await createJobRow(db, project);
    const open = (after: string | null) =>
      follow(
        feed,
        sources.project(project, after, () => true),
      );
    const follower = open(null);
    const [snapshot] = await follower.first(1);
    expect(snapshot).toMatchObject({ kind: 'snapshot', sequence: 0, subject: { of: 'project', projectId: project } });
    await db.$transaction(async (older) => {
      // Numbered now, while the job is still another's to write of.
      await older.$queryRaw`SELECT pg_current_xact_id()::text`;
      await happen(db, jobId);
      const job = await older.job.update({ where: { id: jobId }, data: { eventSequence: { increment: 1 } } });
      await appendJobEvent(older, job, { type: 'JobFileAdded', fileId: jobId, name: 'older', kind: 'LOG' });
    });
    await happen(db, jobId);
    await expect.poll(() => follower.items.at(-1)?.sequence).toBe(4);
    follower.leave();
    // What another's open transaction kept from being settled before the snapshot may be told after it.
    const told = follower.items.filter(({ sequence }) => sequence > 1);
    expect(sequences(told)).toEqual(events(2, 4));
    for (const { cursor, sequence } of told.slice(0, -1)) {
      const resumed = open(cursor);
      expect(sequences(await resumed.first(4 - sequence))).toEqual(events(sequence + 1, 4));
      resumed.leave();
    }
  });

  test('answers with a snapshot what cannot be gone on from: a cursor of another database, or beyond all transactions, or of what was removed', async () => {
    const jobId = await createJobRow(db, projectId);
    const { cursor } = (await followJob(jobId).first(1))[0] as StreamItem;
    const position = parseCursor(epoch, cursor);
    if (position === null || position === 'foreign') throw new Error('The cursor is none.');
    const foreign = Buffer.from('00000000-0000-4000-8000-000000000000:5:5').toString('base64url');
    const future = formatCursor(epoch, { xid: position.xid + 1_000_000n, id: 1n });
    const removed = formatCursor(epoch, { xid: 0n, id: 0n });
    await db.installation.updateMany({ data: { eventsRemovedXid: 1n, eventsRemovedId: 1n } });
    for (const after of [foreign, future, removed]) {
      const other = await createJobRow(db, projectId);
      const follower = followJob(other, after);
      expect(sequences(await follower.first(1))).toEqual(['snapshot 1']);
      await happen(db, other);
      expect(sequences(await follower.first(2))).toEqual(['snapshot 1', 'event 2']);
      follower.leave();
    }
    expect(() => sources.job(jobId, 'nonsense')).toThrow(expect.objectContaining({ code: 'VALIDATION_FAILED' }));
  });

  test('a follower that does not read is told how many events it missed, and resumes from its last cursor', async () => {
    const jobId = await createJobRow(db, projectId);
    const follower = followJob(jobId);
    follower.pause();
    await follower.first(1);
    const published = new Promise<void>((resolve) => {
      const unsubscribe = feed.bus.subscribe(jobTopic(jobId), (told) => {
        if (told.at(-1)?.jobSequence !== 1_203) return;
        unsubscribe();
        resolve();
      });
    });
    await happen(db, jobId);
    // More than the 1,000 that may lie unread, in one statement for speed.
    await db.$executeRaw`
      WITH job AS (UPDATE job SET event_sequence = event_sequence + 1200 WHERE id = ${jobId}::uuid RETURNING id, project_id)
      INSERT INTO event (project_id, job_id, job_seq, type, payload)
      SELECT job.project_id, job.id, 2 + number, 'JobFileAdded', '{"type":"JobFileAdded","name":"n","kind":"LOG","fileId":"x"}'
        FROM job, generate_series(1, 1200) AS number`;
    await happen(db, jobId);
    await published;
    follower.resume();
    expect(await follower.ended).toBeUndefined();
    const last = follower.items.at(-1) as StreamItem;
    expect(last).toMatchObject({ kind: 'lagged', subject: { of: 'job', jobId } });
    expect(follower.items.length - 2 + (last.kind === 'lagged' ? last.dropped : 0)).toBe(1_202);
    const resumed = followJob(jobId, last.cursor);
    const rest = await resumed.first(1_203 - last.sequence);
    expect(sequences(rest)).toEqual(events(last.sequence + 1, 1_203));
    resumed.leave();
  });

  test('a lost database connection delays events but loses none', async () => {
    const jobId = await createJobRow(db, projectId);
    const follower = followJob(jobId);
    await follower.first(1);
    for (let index = 0; index < 3; index++) await happen(db, jobId);
    // Those that listen, and those that read events.
    await db.$queryRaw`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query LIKE '%fence.xmin%') AND datname = current_database()`;
    for (let index = 0; index < 3; index++) await happen(db, jobId);
    expect(sequences(await follower.first(7))).toEqual(['snapshot 1', ...events(2, 7)]);
    follower.leave();
  });
});
