/** The arguments of a job's workflow, from the job's row. */
import type { Config } from '../config.js';
import type { Job } from '../generated/prisma/client.js';
import type { JobInput } from '../jobs/messages.js';
import type { JobReason } from '../jobs/reasons.js';

type Limits = Pick<Config, 'queueTimeoutMs' | 'standbyTimeoutMs' | 'pauseTimeoutMs' | 'machineTimeoutMs' | 's3'>;

/** For a new job. */
export function jobInput(
  job: Pick<Job, 'id' | 'maxDurationMs' | 'autostart' | 'launchAt' | 'startTimeoutMs'>,
  config: Limits,
): JobInput {
  const { queueTimeoutMs, standbyTimeoutMs, pauseTimeoutMs, machineTimeoutMs } = config;
  return {
    jobId: job.id,
    ...{ maxDurationMs: job.maxDurationMs, queueTimeoutMs, pauseTimeoutMs, machineTimeoutMs },
    ...(job.launchAt ? { launchAt: job.launchAt.getTime() } : {}),
    ...(job.autostart ? {} : { standbyTimeoutMs }),
    ...(job.startTimeoutMs === null ? {} : { startTimeoutMs: job.startTimeoutMs }),
    sharedParts: config.s3 !== null,
  };
}

/** For a job whose workflow was lost: it goes on where the job stands. */
export function resumingInput(job: Job, config: Limits): JobInput {
  const { state, machineId, startedAt, pausedMs } = job;
  const now = Date.now();
  const pausedForMs = state === 'PAUSED' ? now - job.stateSince.getTime() : undefined;
  return {
    ...jobInput(job, config),
    resume: {
      ...{ state, machineId, reason: job.reason as JobReason | null, begun: job.begunAt !== null, pausedForMs },
      elapsedMs: startedAt ? now - startedAt.getTime() - pausedMs - (pausedForMs ?? 0) : null,
    },
  };
}
