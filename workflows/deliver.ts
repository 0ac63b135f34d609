/** Makes the files of an ended job again, from parts that are still there. The job itself stays as it ended. */
import { ActivityFailure, ApplicationFailure, proxyActivities, workflowInfo } from '@temporalio/workflow';
import {
  type DeliverInput,
  type FilesFailedInput,
  type FinalizeResult,
  type RecorderActivities,
  recorderTaskQueue,
} from '../src/jobs/messages.js';
import { reasons } from '../src/jobs/reasons.js';
import { stateLimitsMs } from '../src/jobs/states.js';
import { records } from './activities.js';

const heartbeatTimeoutMs = 60_000;

/** Fails when the files cannot be made, after it has told so: only then may the same version be asked for again. */
export async function deliver(input: DeliverInput): Promise<FinalizeResult> {
  const { jobId, version } = input;
  const activities = proxyActivities<RecorderActivities>({
    taskQueue: recorderTaskQueue(input.machineId),
    // As long as a job's own finalizing: the machine's worker may be restarted meanwhile.
    scheduleToCloseTimeout: stateLimitsMs.FINALIZING,
    startToCloseTimeout: stateLimitsMs.FINALIZING,
    heartbeatTimeout: heartbeatTimeoutMs,
    retry: { initialInterval: '1s', maximumInterval: '30s' },
  });
  try {
    return await activities.deliver(input);
  } catch (error) {
    await records.filesFailed({ jobId, version, runId: workflowInfo().runId, ...explained(error) });
    throw error;
  }
}

/** What the machine said; when it said nothing to the end, it is away, or what it tried again and again never went well. */
function explained(error: unknown): Pick<FilesFailedInput, 'reason' | 'message'> {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) return { reason: 'FINALIZE_FAILED', message: cause.message.slice(0, 2000) };
  return { reason: 'MACHINE_LOST', message: `${reasons.MACHINE_LOST.message} Its files were not made in time.` };
}
