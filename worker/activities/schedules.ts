/** Activities of the jobs worker that schedules need: what is due is started, and what was started is stopped in time. */
import type { ScheduleActivities } from '../../src/jobs/schedule-messages.js';
import type { ScheduledRuns } from '../../src/services/scheduled-runs.js';

export const createScheduleActivities = (runs: ScheduledRuns): ScheduleActivities => ({
  startScheduled: ({ scheduleId, at }) => runs.startDue(scheduleId, new Date(at)),
  stopTime: ({ jobId }) => runs.stopTime(jobId),
});
