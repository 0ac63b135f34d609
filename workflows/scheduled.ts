/** The alarm of a schedule: its time has come, and what is to be started is in its row. */
import { proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { ScheduleActivities, ScheduledInput } from '../src/jobs/schedule-messages.js';

export async function scheduled({ scheduleId, openMs }: ScheduledInput): Promise<void> {
  const { startScheduled } = proxyActivities<ScheduleActivities>({
    scheduleToCloseTimeout: openMs,
    startToCloseTimeout: '15s',
    retry: { initialInterval: '200ms', maximumInterval: '5s' },
  });
  const { searchAttributes, startTime } = workflowInfo();
  // Clocks of machines differ: ours may not have come so far yet.
  const [at] = (searchAttributes.TemporalScheduledStartTime ?? [startTime]) as Date[];
  await startScheduled({ scheduleId, at: (at ?? startTime).getTime() });
}
