/** Live statistics: who may follow those of what, and how often they are told. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { LatestSource } from '../events/source.js';
import { type ActiveStats, readActive } from '../events/stats-readings.js';
import type { StatsFeed } from '../events/stats-stream.js';
import type { JobStats } from '../generated/prisma/client.js';
import { NotFoundError, ValidationError } from './errors.js';
import type { createJobs } from './jobs.js';
import type { Sessions } from './sessions.js';
import { visibleJobs } from './visibility.js';

const longestIntervalSeconds = 60;
const onlyId = { select: { id: true } };

export function createStats(deps: {
  db: Database;
  feed: StatsFeed;
  jobs: Pick<ReturnType<typeof createJobs>, 'requireVisible'>;
  sessions: Sessions;
}) {
  const { db, feed, jobs, sessions } = deps;

  return {
    /**
     * JobStats of a job, at most one in `intervalSeconds` (whole, 1 to 60); ends with the job.
     * Throws ValidationError, NotFoundError.
     */
    async job(jobId: string, intervalSeconds: number, viewer: Viewer): Promise<LatestSource> {
      const intervalMs = intervalFrom(intervalSeconds);
      await jobs.requireVisible(jobId, viewer);
      return { kind: 'latest', intervalMs, follow: feed.job(jobId) };
    },

    /** SessionStats of a session; ends with the session. Throws ValidationError, NotFoundError. */
    async session(sessionId: string, intervalSeconds: number, viewer: Viewer): Promise<LatestSource> {
      const intervalMs = intervalFrom(intervalSeconds);
      if (!(await sessions.find(onlyId, sessionId, viewer))) throw new NotFoundError('There is no such session.');
      return { kind: 'latest', intervalMs, follow: feed.session(sessionId) };
    },

    /** ActiveStats of all jobs that the viewer may see; never ends. Throws ValidationError. */
    active(intervalSeconds: number, viewer: Viewer): LatestSource {
      return { kind: 'latest', intervalMs: intervalFrom(intervalSeconds), follow: feed.active(visibleJobs(viewer)) };
    },

    async activeNow(viewer: Viewer): Promise<ActiveStats> {
      const [now] = await readActive(db, [visibleJobs(viewer)]);
      return now as ActiveStats;
    },

    /** The statistics as they were told, with what the Prisma selection wants beside them: one query, or none. */
    async withRelations(query: { select?: object }, told: readonly JobStats[]): Promise<JobStats[]> {
      const relations = Object.entries(query.select ?? {}).filter(([, wanted]) => typeof wanted === 'object');
      if (relations.length === 0 || told.length === 0) return [...told];
      const rows = await db.jobStats.findMany({
        where: { jobId: { in: told.map(({ jobId }) => jobId) } },
        select: { ...Object.fromEntries(relations), jobId: true },
      });
      const byJob = new Map(rows.map((row) => [row.jobId, row]));
      return told.map((stats) => {
        const row = byJob.get(stats.jobId);
        if (!row) throw new NotFoundError('There is no such job any more.');
        return { ...row, ...stats };
      });
    },
  };
}

function intervalFrom(seconds: number): number {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= longestIntervalSeconds) return seconds * 1_000;
  const message = `must be a whole number of seconds from 1 to ${longestIntervalSeconds}, not ${seconds}`;
  throw new ValidationError([{ field: 'interval', message }]);
}
