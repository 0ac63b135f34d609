/** What recorder hosts say of the far servers that a job is broadcast to, as it is written down and told. */
import type { Database, Transaction } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { JobTarget } from '../generated/prisma/client.js';
import type { TargetStatus } from '../jobs/capture.js';
import { isTerminal, type JobState } from '../jobs/states.js';
import { tell } from './job-events.js';

type State = TargetStatus['state'];

const finalStates: readonly State[] = ['ENDED', 'FAILED'];
const isFinal = ({ state }: { state: State }): boolean => finalStates.includes(state);
const interrupted = 'The recorder was interrupted. It goes on by itself.';

export function createTargetStates({ db, wake }: { db: Database; wake: Wake }) {
  /** Runs while nobody else writes about the job; not at all once an older host speaks, or the job is not recorded any more. */
  async function ofNewest(
    key: { jobId: string; incarnation: number },
    write: (transaction: Transaction, targets: JobTarget[]) => Promise<void>,
  ): Promise<void> {
    const { jobId, incarnation } = key;
    await db.$transaction(async (transaction) => {
      const [newest] = await transaction.$queryRaw<{ state: JobState }[]>`
        SELECT state::text FROM job WHERE id = ${jobId}::uuid AND incarnation = ${incarnation} FOR UPDATE`;
      if (!newest || newest.state === 'FINALIZING' || isTerminal(newest.state)) return;
      await write(transaction, await transaction.jobTarget.findMany({ where: { jobId }, orderBy: { id: 'asc' } }));
    });
    wake(eventsChannel);
  }

  return {
    /** Makes the job's targets what its host says of them, if it is the newest. Tells changes of state only. Idempotent. */
    async targetsTold(key: { jobId: string; incarnation: number }, statuses: readonly TargetStatus[]): Promise<void> {
      await ofNewest(key, async (transaction, targets) => {
        for (const target of targets) {
          const status = statuses.find(({ id }) => id === target.id);
          if (status) await become(transaction, target, status);
          // Taken away while no host knew of it.
          else if (target.removedAt && !isFinal(target)) await enter(transaction, target, 'ENDED', null);
        }
      });
    },

    /** The host is gone, and another one will go on. */
    async targetsInterrupted(key: { jobId: string; incarnation: number }): Promise<void> {
      await ofNewest(key, interruptTargets);
    },
  };
}

/** What they are when there is no host, and there will be one. */
async function interruptTargets(transaction: Transaction, targets: readonly JobTarget[]): Promise<void> {
  for (const target of targets.filter(({ state }) => state === 'LIVE'))
    await enter(transaction, target, 'RECONNECTING', interrupted);
}

/** Nobody is left who would say what becomes of the job's targets: all are over, or with `goesOn` interrupted. */
export async function leaveTargets(
  transaction: Transaction,
  jobId: string,
  { goesOn }: { goesOn: boolean },
): Promise<void> {
  const targets = await transaction.jobTarget.findMany({ where: { jobId }, orderBy: { id: 'asc' } });
  if (goesOn) return interruptTargets(transaction, targets);
  for (const target of targets) if (!isFinal(target)) await enter(transaction, target, 'ENDED', null);
}

async function become(transaction: Transaction, target: JobTarget, status: TargetStatus): Promise<void> {
  // Another host begins anew, the broadcast does not.
  const goesOn = target.state === 'RECONNECTING' && status.state === 'CONNECTING';
  const state = goesOn ? 'RECONNECTING' : status.state;
  if (state !== target.state) {
    await enter(transaction, target, state, status.message, new Date(status.since));
  }
  const bytesSent = BigInt(Math.max(status.bytesSent, Number(target.bytesSent)));
  if (bytesSent === target.bytesSent && status.message === target.message) return;
  await transaction.jobTarget.update({ where: { id: target.id }, data: { bytesSent, message: status.message } });
}

async function enter(
  transaction: Transaction,
  { id: targetId, jobId }: JobTarget,
  state: State,
  message: string | null,
  stateSince = new Date(),
): Promise<void> {
  await transaction.jobTarget.update({ where: { id: targetId }, data: { state, message, stateSince } });
  await tell(transaction, { jobId }, { type: 'JobTargetChanged', targetId, state, message });
}
