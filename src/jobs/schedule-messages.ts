/** What the engine's schedules, the workflow that they start and its activity say to each other. */

/** Of the engine's schedule, and with the time behind it, of the workflows that it starts. */
export const alarmId = (scheduleId: string): string => `schedule-${scheduleId}`;
export const scheduleIdOfAlarm = (id: string): string | null => /^schedule-([0-9a-f-]{36})$/.exec(id)?.[1] ?? null;

export interface ScheduledInput {
  scheduleId: string;
  /** How long the longest of its windows is open, milliseconds: there is no use in starting anything later. */
  openMs: number;
}

export interface ScheduleActivities {
  /** Starts what is due by the schedule's row, once; at the moment `at`, epoch milliseconds, or later. Idempotent. */
  startScheduled(input: { scheduleId: string; at: number }): Promise<void>;
  /** When a job is to stop by its row, epoch milliseconds; null: at no certain time. */
  stopTime(input: { jobId: string }): Promise<number | null>;
}
