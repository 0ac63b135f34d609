/** How often live statistics are read, and that they are whatever happens. */
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createSession, writeJobStats, writeJobStatsUnannounced, writeSessionStats } from '../testkit/stats.js';
import { frames, start, startStatsFeed } from '../testkit/stats-feed.js';
import { until } from '../testkit/until.js';

/** Of src/events/latest-values.ts: what is promised about how often is read. */
const turnSpacingMs = 200;
const fallbackMs = 1_000;
/** For what is promised within about a second, on a machine that has other things to do. */
const patience = { timeout: 10_000 };

describe('live statistics', () => {
  let own: OwnDatabase;
  let admin: Database;
  let db: Database;
  let projectId: string;
  const closing: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    admin = createDatabase(inject('stack').databaseUrl, 1);
    own = await ownDatabase();
    ({ db } = own);
    projectId = await createProject(db);
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  afterAll(async () => {
    await own.remove();
    await admin.$disconnect();
  });

  function replica() {
    const made = startStatsFeed(own);
    closing.push(made.close);
    return made;
  }
  const recording = () => createJobRow(db, projectId, 'RECORDING');
  /** Ends every connection to the database, of pools and listeners alike. */
  const cutConnections = (kind = '%') =>
    admin.$executeRaw`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = ${new URL(own.url).pathname.slice(1)} AND query LIKE ${kind}`;

  describe('cost', () => {
    test('one query a turn, at most five turns a second, however many follow and however often they are announced', async () => {
      const jobIds = await Promise.all(Array.from({ length: 20 }, recording));
      const { feed, counts } = replica();
      const since = performance.now();
      const all = jobIds.flatMap((jobId) => Array.from({ length: 50 }, () => start(feed.job(jobId))));
      for (let round = 1; round <= 10; round++) {
        for (const jobId of jobIds) await writeJobStats(db, jobId, round);
        for (let index = 0; index < 100; index++) feed.wake();
      }
      await expect.poll(() => all.every((followed) => frames(followed).at(-1) === 10), patience).toBe(true);
      const turns = 1 + (performance.now() - since) / turnSpacingMs;
      expect(counts.queries).toBeLessThanOrEqual(turns);
    });

    test('nothing while nobody follows, however loud the announcements', async () => {
      const jobId = await recording();
      const { feed, counts } = replica();
      await sleep(300);
      expect(counts.queries).toBe(0);
      const followed = [start(feed.job(jobId)), start(feed.active({ projectId })), start(feed.session(uuid()))];
      await expect.poll(() => counts.queries, patience).toBeGreaterThanOrEqual(3);
      for (const { stop } of followed) stop();
      const left = counts.queries;
      feed.wake();
      await sleep(fallbackMs + turnSpacingMs);
      expect(counts.queries).toBe(left);
    });

    test('nothing for a follower that leaves at once', async () => {
      const { feed, counts } = replica();
      const followed = start(feed.job(uuid()));
      followed.stop();
      followed.stop();
      await sleep(turnSpacingMs);
      expect(counts.queries).toBe(0);
      expect(followed).toMatchObject({ values: [], ended: undefined });
    });
  });

  describe('reach followers', () => {
    test('when no announcement comes, within about a second', async () => {
      const jobId = await recording();
      await writeJobStatsUnannounced(db, jobId, 1);
      const { feed, heard, counts } = replica();
      // That makes the feed look, too.
      await heard;
      // Time goes on when the test says so; the database is real.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      onTestFinished(() => void vi.useRealTimers());
      const followed = start(feed.job(jobId));
      vi.advanceTimersByTime(1);
      await until(() => frames(followed).length === 1);
      await writeJobStatsUnannounced(db, jobId, 2);
      const looks = counts.queries;
      vi.advanceTimersByTime(fallbackMs - turnSpacingMs);
      await new Promise((resolve) => setImmediate(resolve));
      expect(counts.queries).toBe(looks);
      vi.advanceTimersByTime(2 * turnSpacingMs);
      await until(() => frames(followed).length === 2);
      expect(frames(followed)).toEqual([1, 2]);
    });

    test('when the connection that hears announcements is cut', async () => {
      const jobId = await recording();
      const followed = start(replica().feed.job(jobId));
      await writeJobStats(db, jobId, 1);
      await expect.poll(() => frames(followed).at(-1), patience).toBe(1);
      await cutConnections('LISTEN%');
      await writeJobStats(db, jobId, 2);
      await expect.poll(() => frames(followed).at(-1), patience).toBe(2);
      expect(followed.ended).toBeUndefined();
    });

    test('when the database was away for a while: they are told of no failure, the log is told once', async () => {
      const jobId = await recording();
      const { sessionId } = await createSession(db, projectId);
      const { feed, logged } = replica();
      const job = start(feed.job(jobId));
      const session = start(feed.session(sessionId));
      const active = start(feed.active({ projectId }));
      await writeJobStats(db, jobId, 1);
      await writeSessionStats(db, sessionId, 1);
      await expect
        .poll(() => job.values.length * session.values.length * active.values.length, patience)
        .toBeGreaterThan(0);
      const name = new URL(own.url).pathname.slice(1);
      await admin.$executeRawUnsafe(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await cutConnections();
      await sleep(3 * fallbackMs);
      await admin.$executeRawUnsafe(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
      // The sender's pool may still hand out a connection that was cut.
      await expect
        .poll(
          () =>
            writeJobStats(db, jobId, 2).then(
              () => true,
              () => false,
            ),
          patience,
        )
        .toBe(true);
      await writeSessionStats(db, sessionId, 2);
      await expect.poll(() => frames(job).at(-1), patience).toBe(2);
      await expect.poll(() => session.values.at(-1)?.sourceBytes, patience).toBe(2n);
      await expect
        .poll(() => active.values.at(-1)?.stats.find((stats) => stats.jobId === jobId)?.frames, patience)
        .toBe(2n);
      expect([job.ended, session.ended, active.ended]).toEqual([undefined, undefined, undefined]);
      const warnings = logged.map((line) => JSON.parse(line).msg as string);
      expect(warnings.sort()).toEqual(
        ['active jobs', 'jobs', 'sessions'].map((what) => `reading statistics of ${what} failed, trying again`),
      );
    });

    test('even if another follower of the same throws, or leaves while it is told', async () => {
      const jobId = await recording();
      await writeJobStats(db, jobId, 1);
      const { feed, logged } = replica();
      const fail = () => {
        throw new Error('a follower at fault');
      };
      feed.job(jobId)(fail, fail);
      const leaving: number[] = [];
      const stop = feed.job(jobId)(
        ({ frames }) => {
          leaving.push(Number(frames));
          stop();
        },
        () => leaving.push(-1),
      );
      const sound = start(feed.job(jobId));
      await expect.poll(() => frames(sound), patience).toEqual([1]);
      await writeJobStats(db, jobId, 2);
      await db.job.update({ where: { id: jobId }, data: { state: 'COMPLETE' } });
      await expect.poll(() => sound.ended, patience).toEqual({ error: undefined });
      expect(frames(sound)).toEqual([1, 2]);
      expect(leaving).toEqual([1]);
      expect(logged.filter((line) => line.includes('a follower at fault'))).toHaveLength(3);
    });
  });
});
