/** What can happen to a schedule besides the jobs it starts, as it is written to the outbox: complete and immutable. */

export type ScheduleEventPayload =
  /** Nothing was started in a window, or has not been yet. `startAt`: when it began, ISO 8601. */
  { type: 'ScheduleRunFailed'; scheduleId: string; startAt: string; message: string };

export type ScheduleEventType = ScheduleEventPayload['type'];

/** What each of them tells, in words. */
export const scheduleEventTypes = {
  ScheduleRunFailed: 'A window of a schedule began, and nothing could be started.',
} as const satisfies Record<ScheduleEventType, string>;
