/** Schedules: windows of time that come again, in each of which something is recorded. */
import { v7 as uuid } from 'uuid';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import { schedulesChannel, type Wake } from '../events/outbox.js';
import type { Prisma, Schedule } from '../generated/prisma/client.js';
import { nextRuns, type Timing, type Window, type WindowRun } from '../schedules/windows.js';
import type { Engine } from '../temporal/client.js';
import { NotFoundError, ValidationError } from './errors.js';
import { type PageQuery, withoutCursor } from './job-pages.js';
import { noSuchRecording } from './recording-runs.js';
import { type ClientRequest, checkRequestId, earlierResult, keepResult, named } from './requests.js';
import { createScheduleRule, updateScheduleRule } from './schedule-input.js';
import { dueAfterChange, dueOf, moveStops, type Timed, timingOf } from './schedule-times.js';
import {
  type ScheduledArchive,
  type ScheduledJobs,
  type ScheduledTask,
  type Work,
  withoutToken,
} from './scheduled-jobs.js';
import { parsed } from './sources.js';
import { visibleRecordings, visibleSchedules } from './visibility.js';

const noSuchSchedule = 'There is no such schedule in this project.';

/** Exactly one of these says what is started. */
export interface WorkWish {
  archive?: ScheduledArchive | null | undefined;
  task?: ScheduledTask | null | undefined;
  recordingId?: string | null | undefined;
}

interface TimingWish {
  from?: Date | null | undefined;
  until?: Date | null | undefined;
  timezone?: string | null | undefined;
  isPaused?: boolean | null | undefined;
  requestId?: string | null | undefined;
}

/** Times of windows are HH:MM or HH:MM:SS. */
type WindowWish = Omit<Window, 'daysOfWeek'> & {
  daysOfWeek?: readonly Window['daysOfWeek'][number][] | null | undefined;
};

export interface CreateSchedule extends WorkWish, TimingWish {
  name: string;
  windows: readonly WindowWish[];
}
export interface UpdateSchedule extends WorkWish, TimingWish {
  name?: string | null | undefined;
  windows?: readonly WindowWish[] | null | undefined;
}

export function createSchedules(deps: {
  db: Database;
  wake: Wake;
  config: Config;
  engine: Engine;
  jobs: ScheduledJobs;
}) {
  const { db, wake, config, engine, jobs } = deps;

  async function visible(id: string, viewer: Viewer): Promise<Schedule> {
    const schedule = await db.schedule.findFirst({ where: { ...visibleSchedules(viewer), AND: { id } } });
    if (!schedule) throw new NotFoundError(noSuchSchedule);
    return schedule;
  }

  /** What is to be started, checked as if it were now; null where nothing is said of it. */
  async function workFrom(
    wish: WorkWish,
    viewer: Viewer,
  ): Promise<(Pick<Schedule, 'recordingId'> & { work: Work }) | null> {
    const { archive, task, recordingId } = wish;
    const given = [archive, task, recordingId].filter((each) => each != null);
    if (given.length > 1)
      throw new ValidationError([{ field: 'archive', message: 'give one of archive, task and recordingId' }]);
    if (recordingId != null) {
      const where = { AND: [visibleRecordings(viewer), { id: recordingId }] };
      if ((await db.recording.count({ where })) === 0) throw new NotFoundError(noSuchRecording);
      return { work: { kind: 'recording' }, recordingId };
    }
    const work = await jobs.check({ archive, task }, viewer);
    return work && { work, recordingId: null };
  }

  /** What the same request brought about before. Throws ConflictError. */
  const earlier = async (claim: ClientRequest | null, database: Transaction = db): Promise<string | null> =>
    (claim && (await earlierResult(database, claim)))?.resultId ?? null;

  return {
    /**
     * Makes a schedule; the same request id makes one. Its first run is that of the next window that begins. Throws
     * ValidationError, UrlRefusedError, NotFoundError (room, recording), ConflictError.
     */
    async create(request: CreateSchedule, viewer: Viewer): Promise<string> {
      const { requestId, ...input } = parsed(createScheduleRule, request);
      const claim = named(viewer, 'createSchedule', requestId ?? undefined, plain(input, request));
      const before = await earlier(claim);
      if (before) return before;
      const timing: Timing = {
        ...{ timezone: input.timezone ?? 'UTC', windows: input.windows },
        ...{ from: input.from ?? null, until: input.until ?? null },
      };
      const isPaused = input.isPaused ?? false;
      checkBounds(timing);
      const started = await workFrom(request, viewer);
      if (!started)
        throw new ValidationError([{ field: 'archive', message: 'give one of archive, task and recordingId' }]);
      const id = uuid();
      const { projectId } = viewer;
      const made = await db.$transaction(async (transaction) => {
        if (claim) {
          const { resultId } = await keepResult(transaction, claim, { resultId: id, sequence: 0 });
          if (resultId !== id) return resultId;
        }
        const dueAt = dueOf(timing, isPaused, new Date());
        const { work, recordingId } = started;
        await transaction.schedule.create({
          data: {
            ...{ id, projectId, name: input.name, ...columns(timing), isPaused, recordingId, dueAt },
            work: work as unknown as Prisma.InputJsonObject,
          },
        });
        return id;
      });
      wake(schedulesChannel);
      return made;
    },

    /**
     * Changes a schedule. A run that goes on stops when its window does from now on; one whose window is no more goes on to the
     * end that it had. Throws as `create`.
     */
    async update(id: string, request: UpdateSchedule, viewer: Viewer): Promise<void> {
      const { requestId, ...input } = parsed(updateScheduleRule, request);
      await visible(id, viewer);
      const claim = named(viewer, 'updateSchedule', requestId ?? undefined, { id, ...plain(input, request) });
      if (await earlier(claim)) return;
      const started = await workFrom(request, viewer);
      const moved = await db.$transaction(async (transaction) => {
        const before = await lockSchedule(transaction, id);
        if (await earlier(claim, transaction)) return [];
        if (!before) throw new NotFoundError(noSuchSchedule);
        if (claim) await keepResult(transaction, claim, { resultId: id, sequence: 0 });
        const { timezone, windows, from, until } = timingOf(before);
        const timing: Timing = {
          ...{ timezone: input.timezone ?? timezone, windows: input.windows ?? windows },
          from: input.from === undefined ? from : input.from,
          until: input.until === undefined ? until : input.until,
        };
        checkBounds(timing);
        const isPaused = input.isPaused ?? before.isPaused;
        const now = new Date();
        await transaction.schedule.update({
          where: { id },
          data: {
            ...{ name: input.name ?? before.name, ...columns(timing), isPaused },
            ...(started
              ? { work: started.work as unknown as Prisma.InputJsonObject, recordingId: started.recordingId }
              : {}),
            ...{ dueAt: dueAfterChange(before, timing, isPaused, now), retryAt: null },
            ...{ version: { increment: 1 }, updatedAt: now },
          },
        });
        return moveStops(transaction, before, timing, config, now);
      });
      wake(schedulesChannel);
      // Nobody waits for the engine; what fails is done by the upkeep.
      for (const { jobId, stopAt } of moved) void engine.tellStopTime(jobId, stopAt).catch(() => {});
    },

    /** Deletes a schedule: it starts nothing more. A run that goes on stops in its time. Throws ValidationError, NotFoundError, ConflictError. */
    async remove(id: string, viewer: Viewer, requestId?: string): Promise<void> {
      checkRequestId(requestId);
      const claim = named(viewer, 'deleteSchedule', requestId, { scheduleId: id });
      if (await earlier(claim)) return;
      await visible(id, viewer);
      await db.$transaction(async (transaction) => {
        const schedule = await lockSchedule(transaction, id);
        if (await earlier(claim, transaction)) return;
        if (!schedule) throw new NotFoundError(noSuchSchedule);
        if (claim) await keepResult(transaction, claim, { resultId: id, sequence: 0 });
        const now = new Date();
        await transaction.schedule.update({
          where: { id },
          data: { deletedAt: now, dueAt: null, updatedAt: now, version: { increment: 1 } },
        });
      });
      wake(schedulesChannel);
    },

    /** The windows that are to be run next, at most so many. */
    nextRuns: (schedule: Timed & Pick<Schedule, 'isPaused' | 'deletedAt'>, most: number): WindowRun[] =>
      schedule.isPaused || schedule.deletedAt ? [] : nextRuns(timingOf(schedule), new Date(), most),

    find: (query: object, id: string, viewer: Viewer): Promise<Schedule | null> =>
      db.schedule.findFirst({ ...query, where: { ...visibleSchedules(viewer), AND: { id } } }),

    /** Newest first. */
    list(page: PageQuery, viewer: Viewer): Promise<Schedule[]> {
      const { query, ids } = withoutCursor(page, {});
      return db.schedule.findMany({
        ...query,
        where: { ...visibleSchedules(viewer), AND: { id: ids } },
        orderBy: { id: 'desc' },
      });
    },

    count: (viewer: Viewer): Promise<number> => db.schedule.count({ where: visibleSchedules(viewer) }),
  };
}
export type Schedules = ReturnType<typeof createSchedules>;

/** An input as it can be told from another. */
const plain = (input: object, { task }: WorkWish): object => ({
  ...input,
  ...(task ? { task: withoutToken(task) } : {}),
});

const columns = ({ timezone, windows, from, until }: Timing) => ({
  ...{ timezone, windows: windows as unknown as Prisma.InputJsonArray, from, until },
});

function checkBounds({ from, until }: Timing): void {
  if (from && until && from >= until)
    throw new ValidationError([{ field: 'until', message: 'must be later than from' }]);
}

/** Locks a schedule until the end of the transaction, and answers it; null when it is deleted. */
export async function lockSchedule(transaction: Transaction, id: string): Promise<Schedule | null> {
  // Not against those who write of its runs, whose rows refer to it: they have locked their own already.
  await transaction.$queryRaw`SELECT id FROM schedule WHERE id = ${id}::uuid FOR NO KEY UPDATE`;
  return transaction.schedule.findUnique({ where: { id, deletedAt: null } });
}
