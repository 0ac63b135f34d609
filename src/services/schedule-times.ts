/** When a schedule's row has something to start, and when what it has started is to stop. */
import type { Transaction } from '../db.js';
import type { Schedule } from '../generated/prisma/client.js';
import { liveStates } from '../jobs/states.js';
import {
  longestWindowMs,
  nextStart,
  runsBetween,
  type Timing,
  type Window,
  type WindowRun,
} from '../schedules/windows.js';
import { type DeadlineLimits, deadlineOf } from './deadlines.js';
import { type ClientRequest, earlierResult } from './requests.js';

export type Timed = Pick<Schedule, 'timezone' | 'windows' | 'from' | 'until'>;

export const timingOf = ({ timezone, windows, from, until }: Timed): Timing => ({
  ...{ timezone, windows: windows as unknown as Window[], from, until },
});

/** A window of a schedule is run once, whoever starts it, and however often that is tried. */
export function runClaim({ id, projectId }: Pick<Schedule, 'id' | 'projectId'>, { startAt }: WindowRun): ClientRequest {
  const requestId = `schedule:${id}:${startAt.toISOString()}`;
  return { projectId, operation: 'runSchedule', requestId, payload: {} };
}

/** When there is next something to start; null: never. */
export const dueOf = (timing: Timing, isPaused: boolean, from: Date): Date | null =>
  isPaused ? null : nextStart(timing, from);

/** The same of one that is changed: what was to be started already, and is still to be, is not forgotten. */
export function dueAfterChange(before: Schedule, timing: Timing, isPaused: boolean, now: Date): Date | null {
  const overdue = before.dueAt && !isPaused ? runsBetween(timingOf(before), before.dueAt, now) : [];
  const still = overdue.find(({ startAt }) => sameRun(timing, startAt));
  return still?.startAt ?? dueOf(timing, isPaused, now);
}

/**
 * Has the jobs of windows that are open now stop when these end by the new times. Answers whose engine is to be told. The
 * schedule must be locked.
 */
export async function moveStops(
  transaction: Transaction,
  before: Schedule,
  timing: Timing,
  limits: DeadlineLimits,
  now: Date,
): Promise<{ jobId: string; stopAt: Date }[]> {
  const moved: { jobId: string; stopAt: Date }[] = [];
  for (const run of runsBetween(timingOf(before), new Date(now.getTime() - longestWindowMs), now)) {
    const stopAt = sameRun(timing, run.startAt)?.stopAt;
    if (!stopAt || stopAt.getTime() === run.stopAt.getTime()) continue;
    const started = await earlierResult(transaction, runClaim(before, run));
    if (!started) continue;
    const jobId = started.resultId;
    await transaction.$queryRaw`SELECT id FROM job WHERE id = ${jobId}::uuid FOR UPDATE`;
    // Not one that its client had started before.
    const job = await transaction.job.findFirst({
      where: { id: jobId, scheduleId: before.id, state: { in: liveStates } },
    });
    if (!job) continue;
    await transaction.job.update({
      where: { id: jobId },
      data: { stopAt, deadlineAt: deadlineOf({ ...job, stopAt }, limits) },
    });
    moved.push({ jobId, stopAt });
  }
  return moved;
}

/** The run that begins at that moment, by these times. */
const sameRun = (timing: Timing, startAt: Date): WindowRun | undefined => runsBetween(timing, startAt, startAt)[0];
