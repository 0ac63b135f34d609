/** Live statistics of jobs and sessions: the latest value wins, nothing is stored or replayed. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import type { JobStats } from '../generated/prisma/client.js';
import { createLatestValues, type Follow } from './latest-values.js';
import {
  type ActiveStats,
  type JobsScope,
  readActive,
  readJobs,
  readSessions,
  type SessionFigures,
} from './stats-readings.js';

export interface StatsFeed {
  /** Look now: there are new statistics. */
  wake(): void;
  /** The job's statistics now, if it has any, then each newer value; ends with the job, or with NotFoundError. */
  job(jobId: string): Follow<JobStats>;
  /** All active jobs of the scope at once: now, also when there are none, then every second in which any of it changed. */
  active(scope: JobsScope): Follow<ActiveStats>;
  /** The session's statistics now, if it has any, then each newer value; ends with the session, or with NotFoundError. */
  session(sessionId: string): Follow<SessionFigures>;
  /** Nobody is told anything any more, also not of an end. */
  close(): Promise<void>;
}

/** Reads nothing while nobody follows. While the database is away followers are told nothing, and go on when it is back. */
export function createStatsFeed({ db, log }: { db: Database; log: Logger }): StatsFeed {
  const jobs = createLatestValues<string, JobStats>({
    what: 'statistics of jobs',
    keyOf: (jobId) => jobId,
    read: (asked) => readJobs(db, asked),
    log,
  });
  const sessions = createLatestValues<string, SessionFigures>({
    what: 'statistics of sessions',
    keyOf: (sessionId) => sessionId,
    read: (asked) => readSessions(db, asked),
    log,
  });
  const active = createLatestValues<JobsScope, ActiveStats>({
    what: 'statistics of active jobs',
    keyOf: ({ projectId, id }) => `${projectId}/${id ?? ''}`,
    read: async (asked) => {
      const found = await readActive(
        db,
        asked.map(({ subject }) => subject),
      );
      return asked.map(({ latest }, index) => {
        const value = found[index] as ActiveStats;
        return latest && isSame(latest, value) ? undefined : { value };
      });
    },
    log,
  });

  return {
    wake() {
      jobs.wake();
      sessions.wake();
      // All active jobs are read once a second anyway, which is as often as they are told.
    },
    job: jobs.follow,
    active: active.follow,
    session: sessions.follow,
    async close() {
      await Promise.all([jobs.close(), sessions.close(), active.close()]);
    },
  };
}

function isSame(told: ActiveStats, now: ActiveStats): boolean {
  return (
    told.total === now.total &&
    told.stats.length === now.stats.length &&
    told.stats.every((stats, index) => {
      const other = now.stats[index] as JobStats;
      return stats.jobId === other.jobId && stats.updatedAt.getTime() === other.updatedAt.getTime();
    })
  );
}
