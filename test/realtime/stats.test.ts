/** What those are told who follow live statistics. */
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuid } from 'uuid';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/db.js';
import type { ActiveStats } from '../../src/events/stats-readings.js';
import { NotFoundError } from '../../src/services/errors.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createSession, writeJobStats, writeJobStatsUnannounced, writeSessionStats } from '../testkit/stats.js';
import { frames, start, startStatsFeed } from '../testkit/stats-feed.js';

/** Of src/events/latest-values.ts: what is promised about how often is read. */
const turnSpacingMs = 200;
const fallbackMs = 1_000;
/** For what is promised within about a second, on a machine that has other things to do. */
const patience = { timeout: 10_000 };

describe('live statistics', () => {
  let own: OwnDatabase;
  let db: Database;
  let projectId: string;
  const closing: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    own = await ownDatabase();
    ({ db } = own);
    projectId = await createProject(db);
  });
  afterEach(async () => {
    await Promise.all(closing.splice(0).map((close) => close()));
  });
  afterAll(async () => {
    await own.remove();
  });

  function replica() {
    const made = startStatsFeed(own);
    closing.push(made.close);
    return made;
  }
  const recording = () => createJobRow(db, projectId, 'RECORDING');
  const jobsOf = ({ stats }: ActiveStats) => stats.map(({ jobId }) => jobId);

  describe('of a job', () => {
    test('begin with the value now, then tell each newer one on every replica, and end with the job after its last value', async () => {
      const jobId = await recording();
      const first = await writeJobStats(db, jobId, 1);
      const all = [replica(), replica()].map(({ feed }) => start(feed.job(jobId)));
      for (const followed of all) await expect.poll(() => followed.values, patience).toEqual([first]);
      const second = await writeJobStats(db, jobId, 2);
      for (const followed of all) await expect.poll(() => followed.values, patience).toEqual([first, second]);
      const last = await writeJobStatsUnannounced(db, jobId, 3);
      await db.job.update({ where: { id: jobId }, data: { state: 'COMPLETE' } });
      for (const followed of all) {
        await expect.poll(() => followed.ended, patience).toEqual({ error: undefined });
        expect(followed.values).toEqual([first, second, last]);
      }
    });

    test('that has ended are its last value', async () => {
      const jobId = await createJobRow(db, projectId, 'FAILED');
      await writeJobStats(db, jobId, 7);
      const followed = start(replica().feed.job(jobId));
      await expect.poll(() => followed.ended, patience).toEqual({ error: undefined });
      expect(frames(followed)).toEqual([7]);
    });

    test('never recorded tell nothing, and end with it all the same', async () => {
      const jobId = await createJobRow(db, projectId, 'QUEUED');
      const { feed, counts } = replica();
      const followed = start(feed.job(jobId));
      await expect.poll(() => counts.queries, patience).toBeGreaterThan(0);
      expect(followed).toMatchObject({ values: [], ended: undefined });
      await db.job.update({ where: { id: jobId }, data: { state: 'CANCELED' } });
      await expect.poll(() => followed.ended, patience).toEqual({ error: undefined });
      expect(followed.values).toEqual([]);
    });

    test('that is not there end with what went wrong', async () => {
      const followed = start(replica().feed.job(uuid()));
      await expect.poll(() => followed.ended?.error, patience).toBeInstanceOf(NotFoundError);
    });

    test('never go back, and skip what was overwritten, however fast they are written', async () => {
      const jobId = await recording();
      const followed = start(replica().feed.job(jobId));
      for (let index = 1; index <= 200; index++) await writeJobStats(db, jobId, index);
      await expect.poll(() => frames(followed).at(-1), patience).toBe(200);
      expect(frames(followed)).toEqual([...new Set(frames(followed))].sort((one, other) => one - other));
      expect(followed.values.length).toBeLessThan(200);
    });

    test('are told to a newcomer at once when others follow them', async () => {
      const jobId = await recording();
      await writeJobStats(db, jobId, 4);
      const { feed, counts } = replica();
      const early = start(feed.job(jobId));
      await expect.poll(() => frames(early), patience).toEqual([4]);
      const before = counts.queries;
      const late = start(feed.job(jobId));
      expect(late.values).toEqual([]);
      await Promise.resolve();
      expect(frames(late)).toEqual([4]);
      expect(counts.queries).toBe(before);
    });
  });

  describe('of all active jobs', () => {
    test('are told together, the oldest first, at once also when there are none, and whenever one comes, changes or ends', async () => {
      const project = await createProject(db);
      const followed = start(replica().feed.active({ projectId: project }));
      const newest = () => followed.values.at(-1) as ActiveStats;
      await expect.poll(() => followed.values, patience).toMatchObject([{ total: 0, stats: [] }]);
      const older = await createJobRow(db, project, 'RECORDING');
      const younger = await createJobRow(db, project, 'PAUSED');
      await writeJobStats(db, younger, 1);
      const stats = await writeJobStats(db, older, 1);
      await expect.poll(() => jobsOf(newest()), patience).toEqual([older, younger]);
      expect(newest()).toMatchObject({ total: 2, at: expect.any(Date) });
      expect(newest().stats[0]).toEqual(stats);
      await writeJobStats(db, younger, 2);
      await expect.poll(() => newest().stats.map(({ frames }) => frames), patience).toEqual([1n, 2n]);
      await db.job.update({ where: { id: older }, data: { state: 'FINALIZING' } });
      await expect.poll(() => jobsOf(newest()), patience).toEqual([younger]);
      await db.job.update({ where: { id: younger }, data: { state: 'COMPLETE' } });
      await expect.poll(newest, patience).toMatchObject({ total: 0, stats: [] });
      const told = followed.values.length;
      await sleep(fallbackMs + turnSpacingMs);
      expect(followed.values).toHaveLength(told);
    });

    test('are those of the own project, and with the token of a job of that job alone', async () => {
      const [mine, theirs] = [await createProject(db), await createProject(db)];
      const [own, other, foreign] = await Promise.all(
        [mine, mine, theirs].map((project) => createJobRow(db, project, 'RECORDING')),
      );
      for (const jobId of [own, other, foreign]) await writeJobStats(db, jobId as string, 1);
      const { feed } = replica();
      const scopes = [
        { projectId: mine },
        { projectId: theirs },
        { projectId: mine, id: own },
        { projectId: mine, id: foreign },
      ];
      const followed = scopes.map((scope) => start(feed.active(scope as { projectId: string; id?: string })));
      const seen = () =>
        followed.map(({ values }) =>
          values
            .at(-1)
            ?.stats.map(({ jobId }) => jobId)
            .sort(),
        );
      await expect.poll(seen, patience).toEqual([[own, other].sort(), [foreign], [own], []]);
      expect(followed.map(({ values }) => values.at(-1)?.total)).toEqual([2, 1, 1, 0]);
      await writeJobStats(db, other as string, 2);
      await expect.poll(() => followed[0]?.values.length, patience).toBe(2);
      expect(followed.slice(1).map(({ values }) => values.length)).toEqual([1, 1, 1]);
    });

    test('are those of the oldest 1,000 when there are more, and say how many there are', async () => {
      const project = await createProject(db);
      await db.$executeRaw`
        WITH made AS (
          INSERT INTO job (id, project_id, kind, state, source, max_duration_ms, access_token_hash, updated_at)
          SELECT (lpad(to_hex(number), 8, '0') || '-0000-7000-8000-' || right(${project}, 12))::uuid, ${project}::uuid, 'ARCHIVE', 'RECORDING', '{}', 1, '', now()
            FROM generate_series(1, 1001) AS number RETURNING id)
        INSERT INTO job_stats (job_id, incarnation, frames, fps, bitrate, bytes, position_ms, dropped, duplicated, speed, page_frames, progress, updated_at)
        SELECT id, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, now() FROM made`;
      const followed = start(replica().feed.active({ projectId: project }));
      await expect.poll(() => followed.values, patience).toHaveLength(1);
      const [{ total, stats }] = followed.values as [ActiveStats];
      expect(total).toBe(1_001);
      expect(stats).toHaveLength(1_000);
      expect(stats.map(({ jobId }) => Number.parseInt(jobId.slice(0, 8), 16))).toEqual(
        Array.from({ length: 1_000 }, (_, index) => index + 1),
      );
    });
  });

  describe('of a session', () => {
    test('begin with the value now, then tell each newer one, and end with the session after its last value', async () => {
      const { sessionId } = await createSession(db, projectId);
      const { feed } = replica();
      const followed = start(feed.session(sessionId));
      const first = await writeSessionStats(db, sessionId, 1);
      await expect.poll(() => followed.values, patience).toEqual([first]);
      const second = await writeSessionStats(db, sessionId, 2);
      await expect.poll(() => followed.values, patience).toEqual([first, second]);
      await db.session.update({ where: { id: sessionId }, data: { endedAt: new Date() } });
      await expect.poll(() => followed.ended, patience).toEqual({ error: undefined });
      const late = start(feed.session(sessionId));
      await expect.poll(() => late.ended, patience).toEqual({ error: undefined });
      expect(late.values).toEqual([second]);
    });

    test('that is not there end with what went wrong', async () => {
      const followed = start(replica().feed.session(uuid()));
      await expect.poll(() => followed.ended?.error, patience).toBeInstanceOf(NotFoundError);
    });
  });
});
