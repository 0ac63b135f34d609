/** Schedules of Temporal: what wakes us when a window begins. They know no more than that; rows say what follows. */
import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { jobsTaskQueue } from '../jobs/messages.js';
import { alarmId, type ScheduledInput, scheduleIdOfAlarm } from '../jobs/schedule-messages.js';
import { knownTimezone } from '../schedules/local-time.js';
import type { Timing, Window } from '../schedules/windows.js';

/** Of gRPC. */
const invalidArgument = 3;
/** Temporal takes no shorter one. */
const leastCatchupMs = 10_000;
const deadlineMs = 5_000;
const listDeadlineMs = 30_000;

export interface Alarm {
  scheduleId: string;
  timing: Timing;
  isPaused: boolean;
  /** How long the longest of its windows is open, milliseconds: an alarm that was missed rings that much later at the most. */
  openMs: number;
  /** Told back by `list`. */
  note: string;
}

export type Alarms = ReturnType<typeof createAlarms>;

export function createAlarms(client: Client) {
  const within = <Answer>(ask: () => Promise<Answer>) => client.withDeadline(Date.now() + deadlineMs, ask);

  return {
    /** Makes the alarm, or changes it into this one. Idempotent. False when the engine knows no such alarm, such as of a time zone that is new. */
    async set({ scheduleId, timing, isPaused, openMs, note }: Alarm): Promise<boolean> {
      const { timezone, windows, from, until } = timing;
      const id = alarmId(scheduleId);
      const options = {
        spec: {
          calendars: windows.map(calendarOf),
          timezone: knownTimezone(timezone) ?? timezone,
          ...(from ? { startAt: from } : {}),
          ...(until ? { endAt: until } : {}),
        },
        action: {
          type: 'startWorkflow' as const,
          workflowType: 'scheduled',
          workflowId: id,
          taskQueue: jobsTaskQueue,
          args: [{ scheduleId, openMs } satisfies ScheduledInput],
        },
        policies: { overlap: ScheduleOverlapPolicy.ALLOW_ALL, catchupWindow: Math.max(leastCatchupMs, openMs) },
        state: { paused: isPaused, note },
      };
      try {
        await within(() => client.schedule.create({ scheduleId: id, ...options })).catch((error) => {
          if (!(error instanceof ScheduleAlreadyRunning)) throw error;
          return within(() => client.schedule.getHandle(id).update(() => options));
        });
        return true;
      } catch (error) {
        if (isRefused(error)) return false;
        throw error;
      }
    },

    /** Idempotent. */
    async remove(scheduleId: string): Promise<void> {
      try {
        await within(() => client.schedule.getHandle(alarmId(scheduleId)).delete());
      } catch (error) {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
      }
    },

    /** The notes of all alarms, by their schedules. One that was just set may be missing, or have its note from before. */
    async list(): Promise<Map<string, string>> {
      const notes = new Map<string, string>();
      await client.withDeadline(Date.now() + listDeadlineMs, async () => {
        for await (const { scheduleId: id, state } of client.schedule.list({ pageSize: 1_000 })) {
          const scheduleId = scheduleIdOfAlarm(id);
          if (scheduleId) notes.set(scheduleId, state.note ?? '');
        }
      });
      return notes;
    },
  };
}

const isRefused = (error: unknown): boolean => {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return isGrpcServiceError(cause) && cause.code === invalidArgument;
};

function calendarOf({ daysOfWeek, startAt }: Window) {
  const [hour, minute, second] = startAt.split(':').map(Number) as [number, number, number];
  return { hour, minute, second, ...(daysOfWeek.length > 0 ? { dayOfWeek: daysOfWeek } : {}) };
}
