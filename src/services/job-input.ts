/** The arguments of a job's workflow, from the job's row. */
import type { Config } from '../config.js';
import type { Job } from '../generated/prisma/client.js';
import type { Source } from '../jobs/capture.js';
import type { JobInput } from '../jobs/messages.js';
import type { JobReason } from '../jobs/reasons.js';
import type { JobKind } from '../jobs/states.js';
import { longestWindowMs } from '../schedules/windows.js';

type Limits = Pick<
  Config,
  'queueTimeoutMs' | 'taskQueueTimeoutMs' | 'standbyTimeoutMs' | 'pauseTimeoutMs' | 'machineTimeoutMs' | 's3'
>;

/** How long a job may wait for a recorder; one that is to stop at a certain time does so until then. */
export const queueTimeoutOf = (kind: JobKind, config: Pick<Limits, 'queueTimeoutMs' | 'taskQueueTimeoutMs'>): number =>
  kind === 'TASK' ? config.taskQueueTimeoutMs : config.queueTimeoutMs;

/** For a new job. */
export function jobInput(
  job: Pick<Job, 'id' | 'kind' | 'source' | 'maxDurationMs' | 'autostart' | 'launchAt' | 'startTimeoutMs' | 'stopAt'>,
  config: Limits,
): JobInput {
  const { standbyTimeoutMs, pauseTimeoutMs, machineTimeoutMs } = config;
  const queueTimeoutMs = job.stopAt ? longestWindowMs : queueTimeoutOf(job.kind, config);
  const finalizeTimeoutMs = encodingMs(job);
  return {
    jobId: job.id,
    ...{ maxDurationMs: job.maxDurationMs, queueTimeoutMs, pauseTimeoutMs, machineTimeoutMs },
    ...(job.launchAt ? { launchAt: job.launchAt.getTime() } : {}),
    ...(job.stopAt ? { stopAt: job.stopAt.getTime() } : {}),
    ...(job.autostart ? {} : { standbyTimeoutMs }),
    ...(job.startTimeoutMs === null ? {} : { startTimeoutMs: job.startTimeoutMs }),
    ...(finalizeTimeoutMs > 0 ? { finalizeTimeoutMs } : {}),
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

/** Of a room of which it is not known who will come. */
const mostPeople = 16;
/** How long what people have sent may be encoded for, when all of it is recorded: twice as long as it is, one after the other. */
export function encodingMs({ source, maxDurationMs }: Pick<Job, 'source' | 'maxDurationMs'>): number {
  const people = source as unknown as Source;
  return people.kind === 'people' ? 2 * maxDurationMs * (people.users?.length ?? mostPeople) : 0;
}
