/** The activities as workflows see them, each with its time limits. */
import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';
import { type JobActivities, type RecorderActivities, recorderTaskQueue } from '../src/jobs/messages.js';
import { stateLimitsMs } from '../src/jobs/states.js';

/** Short database work. Tried for ever: a Postgres outage delays a job's end and loses nothing. */
export const records = proxyActivities<JobActivities>({
  startToCloseTimeout: '10s',
  retry: { initialInterval: '200ms', maximumInterval: '5s' },
});

/** A machine that does not even take the work up within this time is lost. */
const pickUpTimeout = '60s';

/** The activities of one machine. `maxDurationMs`: the job's. */
export function recorderOn(machineId: string, maxDurationMs: number) {
  const taskQueue = recorderTaskQueue(machineId);
  const { record } = proxyActivities<RecorderActivities>({
    taskQueue,
    scheduleToStartTimeout: pickUpTimeout,
    // The recorder ends by itself and the workflow has its own timer; this only bounds one attempt's life.
    startToCloseTimeout: maxDurationMs + 24 * 3_600_000,
    // Long enough for a restart of Temporal, during which no beat arrives but the recording is well.
    heartbeatTimeout: '60s',
    // The default would drop the recorder's own result when the job is stopped.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '500ms', maximumInterval: '10s' },
  });
  const { stopRecording, discard } = proxyActivities<RecorderActivities>({
    taskQueue,
    scheduleToCloseTimeout: '15s',
    startToCloseTimeout: '5s',
    retry: { initialInterval: '500ms' },
  });
  const { finalize } = proxyActivities<RecorderActivities>({
    taskQueue,
    // The parts lie on this machine: its worker may be restarted meanwhile, but nobody else can do it.
    scheduleToCloseTimeout: stateLimitsMs.FINALIZING,
    startToCloseTimeout: stateLimitsMs.FINALIZING,
    heartbeatTimeout: '60s',
    retry: { initialInterval: '1s', maximumInterval: '30s' },
  });
  return { record, stopRecording, finalize, discard };
}
