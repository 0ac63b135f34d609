/** The only way a job changes its state: one transaction with a guarded update and the event that tells of it. */
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import { appendJobEvent, eventsChannel, type Wake } from '../events/outbox.js';
import type { Job, Prisma } from '../generated/prisma/client.js';
import type { TransitionInput } from '../jobs/messages.js';
import { unfinishedProgress } from '../jobs/progress.js';
import { type JobReason, reasons } from '../jobs/reasons.js';
import { isTerminal, type JobState, stateLimitsMs, statesBefore } from '../jobs/states.js';

export interface TransitionResult {
  /** Number of the job's latest event. */
  sequence: number;
  /** The state the job is in now: not the wanted one if that could not be entered any more. */
  state: JobState;
}

/** What else a transition may write into the job's row. */
export type JobPatch = Pick<Prisma.JobUncheckedUpdateInput, 'startedAt' | 'stoppedAt' | 'recordedMs'>;

interface Step extends TransitionInput {
  patch?: JobPatch;
  /** Only while this incarnation is the newest: an older host's word no longer counts. */
  incarnation?: number;
}

export function createTransitions({
  db,
  wake,
  config,
}: {
  db: Database;
  wake: Wake;
  config: Pick<Config, 'queueTimeoutMs'>;
}) {
  /** When a job that enters `state` now leaves it by itself at the latest. */
  function deadlineIn(state: JobState, job: Pick<Job, 'maxDurationMs' | 'startedAt'>): Date | null {
    if (state === 'QUEUED') return new Date(Date.now() + config.queueTimeoutMs);
    if (state === 'RECORDING') return new Date((job.startedAt?.getTime() ?? Date.now()) + job.maxDurationMs);
    return state in stateLimitsMs ? new Date(Date.now() + stateLimitsMs[state as keyof typeof stateLimitsMs]) : null;
  }

  /** Enters a state within an open transaction; null when the job is in no state it can be entered from. */
  async function enter(transaction: Transaction, step: Step): Promise<Job | null> {
    const { jobId, to, reason, patch, incarnation } = step;
    // The lock comes first: it orders a job's events.
    const [current] = await transaction.$queryRaw<{ state: JobState; progress: number; shown: number | null }[]>`
      SELECT job.state::text AS state, job.progress, job_stats.progress AS shown
        FROM job LEFT JOIN job_stats ON job_stats.job_id = job.id WHERE job.id = ${jobId}::uuid FOR UPDATE OF job`;
    if (!current || !statesBefore(to).includes(current.state)) return null;
    const message = reason ? (step.message ?? reasons[reason].message) : (step.message ?? null);
    const finished = to === 'COMPLETE' || to === 'PARTIAL';
    const now = new Date();
    const [job] = await transaction.job.updateManyAndReturn({
      where: { id: jobId, ...(incarnation === undefined ? {} : { incarnation }) },
      data: {
        ...patch,
        state: to,
        stateSince: now,
        // A job keeps the reason of its ending on its way to the end.
        ...(reason || to === 'RECORDING' ? { reason: reason ?? null, message } : {}),
        eventSequence: { increment: 1 },
        progress: finished ? 100 : Math.min(unfinishedProgress, Math.max(current.progress, current.shown ?? 0)),
        ...(isTerminal(to) ? { endedAt: now } : {}),
      },
    });
    if (!job) return null;
    const deadlineAt = deadlineIn(to, job);
    await transaction.job.update({ where: { id: jobId }, data: { deadlineAt } });
    if (isTerminal(to) || to === 'FINALIZING') await transaction.placement.deleteMany({ where: { jobId } });
    await appendJobEvent(transaction, job, {
      type: 'JobStateChanged',
      state: to,
      previousState: current.state,
      reason: (job.reason as JobReason | null) ?? null,
      message: job.message,
      actor: job.reason ? reasons[job.reason as JobReason].actor : null,
    });
    return job;
  }

  return {
    enter,
    /** Idempotent: asked again for a state the job is in, or has gone past, it answers where the job stands. */
    async transition(step: Step): Promise<TransitionResult> {
      const job = await db.$transaction((transaction) => enter(transaction, step));
      if (job) {
        wake(eventsChannel);
        return { sequence: job.eventSequence, state: job.state };
      }
      const now = await db.job.findUniqueOrThrow({
        where: { id: step.jobId },
        select: { eventSequence: true, state: true },
      });
      return { sequence: now.eventSequence, state: now.state };
    },
  };
}
export type Transitions = ReturnType<typeof createTransitions>;
