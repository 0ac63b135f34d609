/** Writing to the outbox: the event of a change goes into the transaction of the change, the wake-up after its commit. */
import type { Database, Transaction } from '../db.js';
import type { JobEventPayload } from '../jobs/events.js';
import { appendDelivery, type CallbackJob } from '../webhooks/append.js';

/** NOTIFY channels. They carry no contents: what they announce is read from the tables. */
export const eventsChannel = 'tapedeck_events';
export const statsChannel = 'tapedeck_stats';
export const placementChannel = 'tapedeck_placement';

/** The job row an event belongs to, after its `eventSequence` was raised in the same transaction. */
export interface EventJob extends CallbackJob {
  sessionId: string | null;
}

/**
 * Writes one event of a job, and what is to be posted of it to the job's callback URL. The job's row must have been updated
 * first in this transaction: its lock makes the numbers of a job gapless and their order the order of commits.
 */
export async function appendJobEvent(transaction: Transaction, job: EventJob, payload: JobEventPayload): Promise<void> {
  const { occurredAt } = await transaction.event.create({
    select: { occurredAt: true },
    data: {
      projectId: job.projectId,
      sessionId: job.sessionId,
      jobId: job.id,
      jobSequence: job.eventSequence,
      type: payload.type,
      payload,
    },
  });
  if (payload.type === 'JobStateChanged') await appendDelivery(transaction, job, { ...payload, occurredAt });
}

/** Tells listeners that there is something to read. */
export type Wake = (channel: string) => void;

/**
 * A waker that sends at most one NOTIFY per channel every 5 ms, outside any transaction: inside one, NOTIFY takes a
 * cluster-wide lock at commit and cut throughput to a third. A lost wake-up only delays, since tailers also poll.
 */
export function createWake(database: Database): Wake {
  const pending = new Set<string>();
  return (channel) => {
    if (pending.has(channel)) return;
    pending.add(channel);
    setTimeout(() => {
      pending.delete(channel);
      database.$executeRaw`SELECT pg_notify(${channel}, '')`.catch(() => {});
    }, 5);
  };
}
