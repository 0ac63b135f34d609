/** The activities as workflows see them, each with its time limits. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import { type JobActivities, type JobInput, type RecorderActivities, recorderTaskQueue } from '../src/jobs/messages.js';
import type { ScheduleActivities } from '../src/jobs/schedule-messages.js';
import { stateLimitsMs } from '../src/jobs/states.js';

/** Short database work. Tried for ever: a Postgres outage delays a job's end and loses nothing. */
export const records = proxyActivities<JobActivities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', maximumInterval: '5s' },
});

/** The row is asked just before a job stops by it: whoever waits for Postgres longer than this stops as it was told. */
export const { stopTime } = proxyActivities<ScheduleActivities>({
  scheduleToCloseTimeout: '2s',
  startToCloseTimeout: '2s',
  retry: { initialInterval: '100ms' },
});

const usualMachineTimeoutMs = 60_000;

/** How long making the files of a job may take. */
export const finalizeLimitMs = ({ finalizeTimeoutMs = 0 }: Pick<JobInput, 'finalizeTimeoutMs'>): number =>
  stateLimitsMs.FINALIZING + finalizeTimeoutMs;

/** The activities of one machine. */
export function recorderOn(
  machineId: string,
  job: Pick<JobInput, 'maxDurationMs' | 'machineTimeoutMs' | 'sharedParts' | 'finalizeTimeoutMs'>,
) {
  const taskQueue = recorderTaskQueue(machineId);
  const machineTimeoutMs = job.machineTimeoutMs ?? usualMachineTimeoutMs;
  // A lost machine is noticed by its silence, and given up when the attempt after that is not taken up either. The first must
  // be long enough for a restart of Temporal, during which no beat arrives but the recording is well; the second for one of
  // the worker. Whoever was given up too early is found again: what still records is adopted.
  const heartbeatTimeout = Math.round((machineTimeoutMs * 2) / 3);
  const pickUpTimeout = machineTimeoutMs - heartbeatTimeout;
  const finalizeTimeoutMs = finalizeLimitMs(job);
  const { record } = proxyActivities<RecorderActivities>({
    taskQueue,
    scheduleToStartTimeout: pickUpTimeout,
    // The recorder ends by itself and the workflow has its own timers; this only bounds one attempt's life. Should pauses
    // make a job last longer, the next attempt adopts its host.
    startToCloseTimeout: job.maxDurationMs + 24 * 3_600_000,
    heartbeatTimeout,
    // The default would drop the recorder's own result when the job is stopped.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', maximumInterval: '10s' },
  });
  const { stopRecording, steer, discard } = proxyActivities<RecorderActivities>({
    taskQueue,
    scheduleToCloseTimeout: '15s',
    startToCloseTimeout: '5s',
    retry: { initialInterval: '500ms' },
  });
  const { finalize } = proxyActivities<RecorderActivities>({
    taskQueue,
    // The parts lie on this machine: its worker may be restarted meanwhile, but nobody else can do it, unless they are shared.
    ...(job.sharedParts ? { scheduleToStartTimeout: pickUpTimeout } : {}),
    scheduleToCloseTimeout: finalizeTimeoutMs,
    startToCloseTimeout: finalizeTimeoutMs,
    heartbeatTimeout,
    retry: { initialInterval: '1s', maximumInterval: '30s' },
  });
  return { record, stopRecording, steer, finalize, discard };
}
