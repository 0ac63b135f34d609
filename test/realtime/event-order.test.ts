import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { jobTopic } from '../../src/events/bus.js';
import { type Feed, startFeed } from '../../src/events/feed.js';
import { followJob } from '../../src/events/job-stream.js';
import { appendJobEvent, createWake, eventsChannel } from '../../src/events/outbox.js';
import { installationEpoch } from '../../src/installation.js';
import type { JobStreamItem } from '../../src/jobs/events.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

describe('the stream of a job', () => {
  const url = inject('stack').databaseUrl;
  let db: Database;
  let feed: Feed;
  let epoch: string;
  let projectId: string;

  beforeAll(async () => {
    db = createDatabase(url, 20);
    feed = startFeed({ url, db, log: pino({ level: 'silent' }) });
    await feed.ready;
    epoch = await installationEpoch(db);
    projectId = await createProject(db);
  });
  afterAll(async () => {
    await feed.close();
    await db.$disconnect();
  });

  const follow = (jobId: string, after: string | null = null, signal?: AbortSignal) =>
    followJob({ db, bus: feed.bus, epoch }, jobId, after, signal);

  /** Writes one more event of the job, as any change would. */
  async function happen(jobId: string): Promise<void> {
    await db.$transaction(async (transaction) => {
      const job = await transaction.job.update({ where: { id: jobId }, data: { eventSequence: { increment: 1 } } });
      await appendJobEvent(transaction, job, {
        type: 'JobFileAdded',
        fileId: jobId,
        name: `n${job.eventSequence}`,
        kind: 'LOG',
      });
    });
    createWake(db)(eventsChannel);
  }

  async function take(stream: AsyncIterator<JobStreamItem>, count: number): Promise<JobStreamItem[]> {
    const items: JobStreamItem[] = [];
    while (items.length < count) {
      const { value, done } = await stream.next();
      if (done) break;
      items.push(value);
    }
    return items;
  }

  test('begins with the present state, then tells every change once and in order, even if many write at the same time', async () => {
    const jobId = await createJobRow(db, projectId);
    const others = await Promise.all(Array.from({ length: 5 }, () => createJobRow(db, projectId)));
    const stream = follow(jobId);
    const [snapshot] = await take(stream, 1);
    expect(snapshot).toMatchObject({ kind: 'snapshot', sequence: 1, jobId });
    const reading = take(stream, 40);
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => Promise.all([happen(jobId), happen(others[index % 5] as string)])),
    );
    const events = await reading;
    expect(events.map((event) => event.sequence)).toEqual(Array.from({ length: 40 }, (_, index) => index + 2));
    await stream.return();
  });

  test('goes on after any cursor without loss or repeat, even if events are written meanwhile', async () => {
    const jobId = await createJobRow(db, projectId);
    for (let index = 0; index < 10; index++) await happen(jobId);
    const first = follow(jobId, null);
    const [snapshot] = await take(first, 1);
    await first.return();
    for (let index = 0; index < 5; index++) await happen(jobId);
    const resumed = follow(jobId, (snapshot as JobStreamItem).cursor);
    const reading = take(resumed, 10);
    await Promise.all(Array.from({ length: 5 }, () => happen(jobId)));
    const items = await reading;
    expect(items.map(({ kind, sequence }) => `${kind} ${sequence}`)).toEqual(
      Array.from({ length: 10 }, (_, index) => `event ${index + 12}`),
    );
    await resumed.return();
  });

  test('an event is held back until every older transaction has ended, so that order never changes afterwards', async () => {
    const early = await createJobRow(db, projectId);
    const late = await createJobRow(db, projectId);
    const order: string[] = [];
    const queues = [early, late].map((jobId) => feed.bus.subscribe(jobTopic(jobId)));
    const reading = queues.map(async (queue) => {
      for (let event = await queue.next(); event && !('dropped' in event); event = await queue.next()) {
        if (event.jobSequence === 2) order.push(event.jobId as string);
      }
    });
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
    await happen(late);
    // While something waits the tailer looks every 10 ms: several looks must all have held the later event back.
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(order).toEqual([]);
    release();
    await slow;
    await expect.poll(() => order).toEqual([early, late]);
    for (const queue of queues) queue.close();
    await Promise.all(reading);
  });

  test('a cursor of another database is answered with a snapshot, something that is no cursor with a typed error', async () => {
    const jobId = await createJobRow(db, projectId);
    const foreign = Buffer.from('00000000-0000-4000-8000-000000000000:5:5').toString('base64url');
    const stream = follow(jobId, foreign);
    expect((await take(stream, 1))[0]).toMatchObject({ kind: 'snapshot', sequence: 1 });
    await stream.return();
    await expect(follow(jobId, 'nonsense').next()).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  });

  test('a subscriber that does not read is told how many events it missed, and resumes from its last cursor', async () => {
    const jobId = await createJobRow(db, projectId);
    const stream = follow(jobId);
    const [snapshot] = await take(stream, 1);
    const pending = stream.next();
    await happen(jobId);
    const first = (await pending).value as JobStreamItem;
    expect(first.sequence).toBe(2);
    // More than the 1,000 that a subscriber may leave unread, in one statement each for speed.
    await db.$executeRaw`
      WITH job AS (UPDATE job SET event_sequence = event_sequence + 1200 WHERE id = ${jobId}::uuid RETURNING id, project_id)
      INSERT INTO event (project_id, job_id, job_seq, type, payload)
      SELECT job.project_id, job.id, 2 + number, 'JobFileAdded', '{"type":"JobFileAdded","name":"n","kind":"LOG","fileId":"x"}'
        FROM job, generate_series(1, 1200) AS number`;
    const witness = feed.bus.subscribe(jobTopic(jobId));
    await happen(jobId);
    for (let event = await witness.next(); event && 'jobSequence' in event && event.jobSequence !== 1203; )
      event = await witness.next();
    witness.close();
    const items = await take(stream, 2_000);
    const last = items.at(-1) as JobStreamItem;
    expect(last).toMatchObject({ kind: 'lagged' });
    expect(items.length - 1 + (last.kind === 'lagged' ? last.dropped : 0)).toBe(1201);
    const resumed = follow(jobId, last.cursor);
    const rest = await take(resumed, 1203 - last.sequence);
    expect(rest[0]?.sequence).toBe(last.sequence + 1);
    expect(rest.at(-1)?.sequence).toBe(1203);
    await resumed.return();
    expect(snapshot?.sequence).toBe(1);
  });

  test('a lost database connection delays events but loses none', async () => {
    const jobId = await createJobRow(db, projectId);
    const stream = follow(jobId);
    await take(stream, 1);
    const reading = take(stream, 6);
    for (let index = 0; index < 3; index++) await happen(jobId);
    await db.$queryRaw`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
      WHERE pid <> pg_backend_pid() AND query LIKE 'LISTEN%' AND datname = current_database()`;
    for (let index = 0; index < 3; index++) await happen(jobId);
    expect((await reading).map((event) => event.sequence)).toEqual([2, 3, 4, 5, 6, 7]);
    await stream.return();
  });
});
