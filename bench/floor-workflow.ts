/** What any job costs in Temporal: one workflow with as many activities as a job has, that do nothing. */
import { proxyActivities } from '@temporalio/workflow';

export interface FloorActivities {
  nothing(input: { jobId: string }): Promise<{ sequence: number }>;
}

const { nothing: onJobs } = proxyActivities<FloorActivities>({ startToCloseTimeout: '10s' });
const { nothing: onRecorder } = proxyActivities<FloorActivities>({
  ...{ taskQueue: 'floor-recorder', startToCloseTimeout: '10s' },
});

/** STARTING, record, FINALIZING, finalize, COMPLETE. */
export async function floor(jobId: string): Promise<void> {
  await onJobs({ jobId });
  await onRecorder({ jobId });
  await onJobs({ jobId });
  await onRecorder({ jobId });
  await onJobs({ jobId });
}
