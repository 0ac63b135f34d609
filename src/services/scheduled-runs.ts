/** Starting what is due by a schedule's row, once, whoever is the first to notice: the engine's alarm, or the upkeep. */
import type { Database, Transaction } from '../db.js';
import { appendScheduleEvent, eventsChannel, type Wake } from '../events/outbox.js';
import type { Recording, Schedule } from '../generated/prisma/client.js';
import { nextStart, runsBetween, type WindowRun } from '../schedules/windows.js';
import { ExpectedError } from './errors.js';
import { liveRuns, lockRecording, type RecordingRuns } from './recording-runs.js';
import { earlierResult, keepResult } from './requests.js';
import { runClaim, timingOf } from './schedule-times.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import { lockSchedule } from './schedules.js';
import type { JobStarter } from './start-job.js';

/** What could not be started is tried again so often, as long as its window is open. */
const retryMs = 30_000;
const missed = 'The whole window had passed before anything could be started: the service was away.';

export type ScheduledRuns = ReturnType<typeof createScheduledRuns>;

export function createScheduledRuns(deps: {
  db: Database;
  wake: Wake;
  starter: JobStarter;
  jobs: ScheduledJobs;
  runs: RecordingRuns;
}) {
  const { db, wake, starter, jobs, runs } = deps;

  /** Starts the job of a window, unless that was done. False when the schedule, or its recording, was changed meanwhile. */
  async function start(schedule: Schedule, run: WindowRun): Promise<boolean> {
    const claim = runClaim(schedule, run);
    if (await earlierResult(db, claim)) return true;
    const { job, recording } = await jobs.of(schedule, claim.requestId);
    const started = await starter.start<true>(
      { ...job, scheduleId: schedule.id, stopAt: run.stopAt },
      claim,
      async (transaction) => {
        const now = await lockSchedule(transaction, schedule.id);
        if (!now || now.isPaused || now.version !== schedule.version) return false;
        if (await earlierResult(transaction, claim)) return true;
        const goesOn = recording && (await begin(transaction, recording));
        if (goesOn === 'changed') return false;
        // The recording is being recorded already, as its client wished: that is what this window brings.
        if (goesOn) {
          await keepResult(transaction, claim, { resultId: goesOn.jobId, sequence: 0 });
          return true;
        }
        await transaction.schedule.update({
          where: { id: schedule.id },
          data: {
            lastRunAt: run.startAt,
            // It went well in the end.
            ...(now.lastErrorOf?.getTime() === run.startAt.getTime()
              ? { lastError: null, lastErrorAt: null, lastErrorOf: null }
              : {}),
          },
        });
        return true;
      },
    );
    return started !== null;
  }

  /** Has a recording be running; answers the run that goes on, where one does that no schedule has started. */
  async function begin(transaction: Transaction, recording: Recording): Promise<{ jobId: string } | 'changed' | null> {
    if (!(await lockRecording(transaction, recording.id))) return 'changed';
    const own = (await liveRuns(transaction, recording.id)).find(({ scheduleId }) => scheduleId === null);
    if (own) return { jobId: own.id };
    return (await runs.activate(transaction, recording)) ? null : 'changed';
  }

  /** Writes down, once, that and why nothing was started in a window. */
  async function fail(scheduleId: string, { startAt }: WindowRun, message: string): Promise<void> {
    const isNews = await db.$transaction(async (transaction) => {
      const schedule = await lockSchedule(transaction, scheduleId);
      // What is tried again and again is told once, also where a later window has failed since.
      if (!schedule || (schedule.lastErrorOf && schedule.lastErrorOf >= startAt)) return false;
      await transaction.schedule.update({
        where: { id: scheduleId },
        data: { lastError: message, lastErrorAt: new Date(), lastErrorOf: startAt },
      });
      const payload = { type: 'ScheduleRunFailed', scheduleId, startAt: startAt.toISOString(), message } as const;
      await appendScheduleEvent(transaction, schedule.projectId, payload);
      return true;
    });
    if (isNews) wake(eventsChannel);
  }

  /** Starts all that is due. False when the schedule was changed meanwhile. */
  async function startAll(schedule: Schedule & { dueAt: Date }, now: Date): Promise<boolean> {
    const timing = timingOf(schedule);
    const due = runsBetween(timing, schedule.dueAt, now);
    const over = due.filter(({ stopAt }) => stopAt <= now);
    const lastOver = over.at(-1);
    if (lastOver && !(await earlierResult(db, runClaim(schedule, lastOver)))) await fail(schedule.id, lastOver, missed);
    let failed: WindowRun | undefined;
    for (const run of due.filter(({ stopAt }) => stopAt > now)) {
      try {
        if (!(await start(schedule, run))) return false;
      } catch (error) {
        if (!(error instanceof ExpectedError)) throw error;
        await fail(schedule.id, run, error.message);
        failed ??= run;
      }
    }
    const { id, version, dueAt } = schedule;
    await db.schedule.updateMany({
      where: { id, version, dueAt },
      data: {
        dueAt: failed?.startAt ?? nextStart(timing, new Date(now.getTime() + 1)),
        retryAt: failed ? new Date(now.getTime() + retryMs) : null,
      },
    });
    return true;
  }

  return {
    /**
     * Starts what is due by now, or at `at` where that is later, and has not been started. Safe at any time, also twice at
     * once. Throws when that cannot be known or done for now.
     */
    async startDue(scheduleId: string, at = new Date(0)): Promise<void> {
      for (;;) {
        const schedule = await db.schedule.findUnique({ where: { id: scheduleId, deletedAt: null, isPaused: false } });
        const now = new Date(Math.max(Date.now(), at.getTime()));
        if (!schedule?.dueAt || schedule.dueAt > now) return;
        if (await startAll({ ...schedule, dueAt: schedule.dueAt }, now)) return;
      }
    },

    /** When a job is to stop, epoch milliseconds; null: at no certain time. */
    async stopTime(jobId: string): Promise<number | null> {
      const { stopAt } = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { stopAt: true } });
      return stopAt?.getTime() ?? null;
    },
  };
}
