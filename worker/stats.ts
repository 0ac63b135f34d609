/** Live statistics on their way to Postgres: the latest value of every job of this worker, in one statement a second. */
import type { Logger } from 'pino';
import type { Database } from '../src/db.js';
import { statsChannel, type Wake } from '../src/events/outbox.js';
import type { CaptureStats } from '../src/jobs/capture.js';

const flushIntervalMs = 1_000;

export interface JobStatsReport {
  jobId: string;
  incarnation: number;
  /** 0 to 100; what is stored never falls. */
  progress: number;
  stats: CaptureStats;
}

export interface StatsWriter {
  /** Replaces what was to be written about this job. */
  set(report: JobStatsReport): void;
  /** Progress (0 to 100) of a job that no longer records. */
  setProgress(jobId: string, progress: number): void;
  /** Writes what is waiting, now. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export function startStatsWriter({ db, wake, log }: { db: Database; wake: Wake; log: Logger }): StatsWriter {
  const pending = new Map<string, JobStatsReport>();
  const pendingProgress = new Map<string, number>();

  async function flush(): Promise<void> {
    await Promise.all([flushStats(), flushProgress()]);
  }

  async function flushProgress(): Promise<void> {
    if (pendingProgress.size === 0) return;
    const rows = [...pendingProgress].map(([job_id, progress]) => ({ job_id, progress }));
    pendingProgress.clear();
    try {
      await db.$executeRaw`
        UPDATE job_stats SET progress = greatest(job_stats.progress, report.progress), updated_at = now()
          FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS report(job_id uuid, progress float8)
         WHERE job_stats.job_id = report.job_id`;
      wake(statsChannel);
    } catch (error) {
      log.warn({ err: error }, 'progress could not be written');
    }
  }

  async function flushStats(): Promise<void> {
    if (pending.size === 0) return;
    const reports = [...pending.values()];
    pending.clear();
    const rows = reports.map(({ jobId, incarnation, progress, stats }) => ({
      job_id: jobId,
      incarnation,
      progress,
      ...whole(stats),
    }));
    try {
      await db.$executeRaw`
        INSERT INTO job_stats (job_id, incarnation, frames, fps, bitrate, bytes, position_ms, dropped, duplicated, speed,
                               page_frames, link, progress, updated_at)
        SELECT job_id, incarnation, frames, fps, bitrate, bytes, "positionMs", dropped, duplicated, speed, "pageFrames", link, progress, now()
          FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) AS report(
            job_id uuid, incarnation int, frames bigint, fps float8, bitrate float8, bytes bigint, "positionMs" bigint,
            dropped bigint, duplicated bigint, speed float8, "pageFrames" bigint, link jsonb, progress float8)
        ON CONFLICT (job_id) DO UPDATE SET
          incarnation = excluded.incarnation, frames = excluded.frames, fps = excluded.fps, bitrate = excluded.bitrate,
          bytes = excluded.bytes, position_ms = excluded.position_ms, dropped = excluded.dropped,
          duplicated = excluded.duplicated, speed = excluded.speed, page_frames = excluded.page_frames, link = excluded.link,
          progress = greatest(job_stats.progress, excluded.progress), updated_at = excluded.updated_at
        WHERE job_stats.incarnation <= excluded.incarnation`;
      wake(statsChannel);
    } catch (error) {
      // Only the latest value counts, and the next one is a second away.
      log.warn({ err: error }, 'statistics could not be written');
    }
  }

  let flushing = Promise.resolve();
  const timer = setInterval(() => {
    flushing = flush();
  }, flushIntervalMs);

  return {
    set: (report) => void pending.set(report.jobId, report),
    setProgress: (jobId, progress) => void pendingProgress.set(jobId, progress),
    flush,
    async close() {
      clearInterval(timer);
      await flushing;
      await flush();
    },
  };
}

/** Counts are stored as whole numbers; rates keep their fractions. */
function whole(stats: CaptureStats): CaptureStats {
  const { fps, bitrate, speed, link, ...counts } = stats;
  const rounded = Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, Math.round(value)]));
  return { ...(rounded as typeof counts), fps, bitrate, speed, ...(link ? { link } : {}) };
}
