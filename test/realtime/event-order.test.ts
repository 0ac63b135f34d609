import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { jobTopic } from '../../src/events/bus.js';
import { createEventSources, type EventConditions, type EventSources } from '../../src/events/event-sources.js';
import { type Feed, startFeed } from '../../src/events/feed.js';
import { appendJobEvent } from '../../src/events/outbox.js';
import { formatCursor, parseCursor } from '../../src/events/position.js';
import { installationEpoch } from '../../src/installation.js';
import type { StreamItem } from '../../src/jobs/events.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { follow } from '../testkit/follower.js';
import { enter, happen, happenOften } from '../testkit/happen.js';
import { createJobRow, createProject, createRoom } from '../testkit/jobs.js';

describe('a stream of events', () => {
  let own: OwnDatabase;
  let url: string;
  let db: Database;
  let feed: Feed;
  let epoch: string;
  let sources: EventSources;
  let projectId: string;

  beforeAll(async () => {
    own = await ownDatabase();
    ({ url } = own);
    db = createDatabase(url, 20);
    epoch = await installationEpoch(db);
    // As if there had been older events once: else the feed would remember all there ever were.
    await db.installation.updateMany({ data: { eventsRemovedXid: 1n, eventsRemovedId: 1n } });
    feed = startFeed({ url, db, log: pino({ level: 'silent' }), onRewound: () => {} });
    await feed.ready;
    sources = createEventSources({ db, epoch });
    projectId = await createProject(db);
  });
  afterAll(async () => {
    await feed.close();
    await db.$disconnect();
    await own.remove();
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
    // Three pages of the table.
    await happenOften(db, jobId, 1_200);
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
    const open = (after: string | null) => follow(feed, sources.project(project, after, {}));
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

  test('of a project tells the same events under a condition, whether from memory or from the table', async () => {
    const projectId = await createProject(db);
    const rooms = [await createRoom(db, projectId), await createRoom(db, projectId)] as const;
    const jobs: string[] = [];
    for (const roomId of [...rooms, undefined]) jobs.push(await createJobRow(db, projectId, 'QUEUED', { roomId }));
    const [one, other] = jobs as [string, string, string];
    for (const jobId of jobs) {
      await happen(db, jobId);
      for (const state of ['RECORDING', 'COMPLETE'] as const) await enter(db, jobId, state);
    }
    const beginning = { xid: 1n, id: 1n };
    const told = async (conditions: EventConditions) =>
      (await sources.project(projectId, null, conditions).read(beginning)) ?? [];
    // Events are read once every older transaction on the server has ended, also those of other tests.
    await expect.poll(async () => (await told({})).length, { timeout: 20_000 }).toBe(12);
    const all = await told({});
    const counts: number[] = [];
    for (const conditions of [
      { types: ['JobFileAdded'] },
      { states: ['COMPLETE', 'QUEUED'] },
      { jobIds: [one, other] },
      { roomIds: [rooms[1]] },
      { types: ['JobStateChanged'], jobIds: [one], roomIds: [rooms[0]], states: ['RECORDING'] },
      { jobIds: [one], roomIds: [rooms[1]] },
      { types: [] },
      { jobIds: null, types: null },
    ] as EventConditions[]) {
      const { includes } = sources.project(projectId, null, conditions);
      const read = await told(conditions);
      expect(read).toEqual(all.filter(includes));
      counts.push(read.length);
    }
    expect(counts).toEqual([3, 6, 8, 4, 1, 0, 0, 12]);
  });
});
