/** The only way a job changes its state: one transaction with a guarded update and the event that tells of it. */
import type { Database, Transaction } from '../db.js';
import { appendJobEvent, eventsChannel, type Wake } from '../events/outbox.js';
import type { Job } from '../generated/prisma/client.js';
import type { TransitionInput } from '../jobs/messages.js';
import { unfinishedProgress } from '../jobs/progress.js';
import { type JobReason, reasons } from '../jobs/reasons.js';
import { isTerminal, type JobState, statesBefore } from '../jobs/states.js';
import { type DeadlineLimits, deadlineOf } from './deadlines.js';
import { endWarnings } from './job-events.js';
import { leaveTargets } from './target-states.js';

export interface TransitionResult {
  /** Number of the job's latest event. */
  sequence: number;
  /** The state the job is in now: not the wanted one if that could not be entered any more. */
  state: JobState;
}

interface Step extends TransitionInput {
  /** What else is written into the job's row. */
  patch?: { startedAt?: Date };
  /** Only while this incarnation is the newest: an older host's word no longer counts. */
  incarnation?: number;
}

interface CurrentState {
  state: JobState;
  incarnation: number;
  since: Date;
  progress: number;
  /** The newer progress of its statistics. */
  shown: number | null;
}

/** A job keeps the reason of its ending on its way to the end; on entering these what was the matter before is over. */
const keepsNoReason: readonly JobState[] = ['RECORDING', 'PAUSED'];

export function createTransitions({ db, wake, config }: { db: Database; wake: Wake; config: DeadlineLimits }) {
  /** Enters a state within an open transaction; null when the job is in no state it can be entered from. */
  async function enter(transaction: Transaction, step: Step): Promise<Job | null> {
    const { jobId, to, reason, patch, incarnation, from = statesBefore(to) } = step;
    // The lock comes first: it orders a job's events.
    const [current] = await transaction.$queryRaw<CurrentState[]>`
      SELECT job.state::text AS state, job.incarnation, job.state_since AS since, job.progress, job_stats.progress AS shown
        FROM job LEFT JOIN job_stats ON job_stats.job_id = job.id WHERE job.id = ${jobId}::uuid FOR UPDATE OF job`;
    if (!current || !from.includes(current.state) || !statesBefore(to).includes(current.state)) return null;
    if (incarnation !== undefined && incarnation !== current.incarnation) return null;
    // Nobody is left who would say that they are over.
    if (isTerminal(to) || reason === 'MACHINE_LOST')
      await endWarnings(transaction, await transaction.jobWarning.findMany({ where: { jobId, clearedAt: null } }));
    const isOver = isTerminal(to) || to === 'FINALIZING';
    if (isOver || reason === 'MACHINE_LOST') await leaveTargets(transaction, jobId, { goesOn: !isOver });
    const message = reason ? (step.message ?? reasons[reason].message) : (step.message ?? null);
    const finished = to === 'COMPLETE' || to === 'PARTIAL';
    const now = new Date();
    const before = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
    const pausedMs = before.pausedMs + (current.state === 'PAUSED' ? now.getTime() - current.since.getTime() : 0);
    const entered = { ...patch, ...{ state: to, stateSince: now, pausedMs } };
    const job = await transaction.job.update({
      where: { id: jobId },
      data: {
        ...entered,
        deadlineAt: deadlineOf({ ...before, ...entered }, config),
        ...(reason || keepsNoReason.includes(to) ? { reason: reason ?? null, message } : {}),
        eventSequence: { increment: 1 },
        progress: finished ? 100 : Math.min(unfinishedProgress, Math.max(current.progress, current.shown ?? 0)),
        ...(isTerminal(to) ? { endedAt: now } : {}),
      },
    });
    if (isOver) await transaction.placement.deleteMany({ where: { jobId } });
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
    /** Writes down that a job in STANDBY was told to begin. Idempotent; `granted` is false when the job is not in STANDBY. */
    async begin(jobId: string): Promise<TransitionResult & { granted: boolean }> {
      const result = await db.$transaction(async (transaction) => {
        const [begun] = await transaction.job.updateManyAndReturn({
          where: { id: jobId, state: 'STANDBY', begunAt: null },
          data: { begunAt: new Date(), eventSequence: { increment: 1 } },
        });
        if (begun) await appendJobEvent(transaction, begun, { type: 'JobBegun' });
        const { state, eventSequence, begunAt } =
          begun ?? (await transaction.job.findUniqueOrThrow({ where: { id: jobId } }));
        return { sequence: eventSequence, state, granted: begunAt !== null && state === 'STANDBY' };
      });
      wake(eventsChannel);
      return result;
    },
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
