/** Schedules as a client makes, changes and follows them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { createTapedeck } from '../../examples/client/client.js';
import type {
  CreateScheduleInput,
  JobState,
  ScheduleQuery,
  UpdateScheduleInput,
} from '../../examples/client/gql/graphql.js';
import { CreateSchedule, DeleteSchedule, Schedule, UpdateSchedule } from '../../examples/client/operations.js';
import { uuidFrom } from '../../schema/ids.js';
import { RefusedError } from './recordings.js';

export type ScheduleFacts = NonNullable<ScheduleQuery['schedule']>;
export type ScheduledRun = ScheduleFacts['runs']['nodes'][number];

export interface TestSchedule {
  /** Global id. */
  id: string;
  /** Of its row. */
  scheduleId: string;
  facts(): Promise<ScheduleFacts>;
  /** Waits until its only run is in one of the states; throws when it ends in another, or when there is another run. */
  until(...states: JobState[]): Promise<ScheduledRun>;
  /** Throws RefusedError. */
  update(change: Omit<UpdateScheduleInput, 'scheduleId'>): Promise<void>;
  remove(requestId?: string): Promise<void>;
}

const pollMs = 100;
const ended: JobState[] = ['COMPLETE', 'PARTIAL', 'FAILED', 'EXPIRED', 'CANCELED'];

/** A window of every day, in UTC, that begins so many seconds from now and lasts for so many; and when that is today. */
export function windowIn(seconds: number, lasting: number) {
  const startMs = Math.ceil(Date.now() / 1_000 + seconds) * 1_000;
  const timeOf = (ms: number) => new Date(ms).toISOString().slice(11, 19);
  const stopMs = startMs + lasting * 1_000;
  return { window: { startAt: timeOf(startMs), stopAt: timeOf(stopMs) }, startMs, stopMs };
}

export function createScheduleKit({ url, apiKey }: { url: string; apiKey: string }) {
  const tapedeck = createTapedeck({ url, apiKey, webSocket: WebSocket });

  function find(id: string): TestSchedule {
    const facts = async () => {
      const { schedule } = await tapedeck.request(Schedule, { id });
      if (!schedule) throw new Error('the schedule is gone');
      return schedule;
    };
    return {
      ...{ id, scheduleId: uuidFrom(id, ['Schedule'], 'schedule'), facts },
      async until(...states) {
        for (;;) {
          const { runs, lastError } = await facts();
          const [run, another] = runs.nodes;
          if (another) throw new Error('it has started twice');
          if (run && states.includes(run.state)) return run;
          if (run && ended.includes(run.state)) throw new Error(`ended ${run.state}: ${run.reason}`);
          if (lastError) throw new Error(`not started: ${lastError.message}`);
          await sleep(pollMs);
        }
      },
      async update(change) {
        const { updateSchedule } = await tapedeck.request(UpdateSchedule, { input: { scheduleId: id, ...change } });
        if (updateSchedule.__typename !== 'UpdateSchedulePayload') throw refused(updateSchedule);
      },
      async remove(requestId) {
        const { deleteSchedule } = await tapedeck.request(DeleteSchedule, { input: { scheduleId: id, requestId } });
        if (deleteSchedule.__typename !== 'DeleteSchedulePayload') throw refused(deleteSchedule);
      },
    };
  }

  return {
    find,
    /** Throws RefusedError. */
    async create(input: Omit<CreateScheduleInput, 'name'> & { name?: string }): Promise<TestSchedule> {
      const { createSchedule } = await tapedeck.request(CreateSchedule, { input: { name: 'Test', ...input } });
      if (createSchedule.__typename !== 'CreateSchedulePayload') throw refused(createSchedule);
      return find(createSchedule.schedule.id);
    },
    close: () => tapedeck.close(),
  };
}
export type ScheduleKit = ReturnType<typeof createScheduleKit>;

function refused(answer: { code: string; message: string; issues?: { field: string }[] }): RefusedError {
  return new RefusedError(answer.code, answer.issues?.map(({ field }) => field) ?? [], answer.message);
}
