/** When a job leaves its state by itself at the latest. */
import type { Config } from '../config.js';
import type { Job } from '../generated/prisma/client.js';
import { type JobState, liveStates, stateLimitsMs } from '../jobs/states.js';
import { encodingMs, queueTimeoutOf } from './job-input.js';

export type DeadlineLimits = Pick<
  Config,
  'queueTimeoutMs' | 'taskQueueTimeoutMs' | 'standbyTimeoutMs' | 'pauseTimeoutMs'
>;
type Deadlined = Pick<
  Job,
  | 'kind'
  | 'state'
  | 'stateSince'
  | 'source'
  | 'maxDurationMs'
  | 'startedAt'
  | 'pausedMs'
  | 'startTimeoutMs'
  | 'reconnectTimeoutMs'
  | 'stopAt'
>;

/** Null for a job in a final state. */
export function deadlineOf(job: Deadlined, limits: DeadlineLimits): Date | null {
  const since = job.stateSince.getTime();
  const recordsUntil = (job.startedAt?.getTime() ?? since) + job.maxDurationMs + job.pausedMs;
  const limitsMs: Partial<Record<JobState, number>> = {
    ...stateLimitsMs,
    STARTING: stateLimitsMs.STARTING + (job.startTimeoutMs ?? 0),
    RECONNECTING: stateLimitsMs.RECONNECTING + (job.reconnectTimeoutMs ?? 0),
    QUEUED: queueTimeoutOf(job.kind, limits),
    STANDBY: limits.standbyTimeoutMs,
    PAUSED: limits.pauseTimeoutMs,
    RECORDING: recordsUntil - since,
    FINALIZING: stateLimitsMs.FINALIZING + encodingMs(job),
  };
  const limitMs = limitsMs[job.state];
  if (limitMs === undefined) return null;
  const deadline = new Date(since + limitMs);
  const { stopAt } = job;
  // What is ending takes its time.
  if (!stopAt || !liveStates.includes(job.state)) return deadline;
  return job.state === 'QUEUED' || stopAt < deadline ? stopAt : deadline;
}
