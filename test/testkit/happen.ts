/** Events of a job that nothing records: written as any change is, so that streams can be tried without a recording. */
import type { Database } from '../../src/db.js';
import { appendJobEvent, createWake, eventsChannel } from '../../src/events/outbox.js';

/** Writes one more event of the job; answers its number. */
export async function happen(db: Database, jobId: string): Promise<number> {
  const sequence = await db.$transaction(async (transaction) => {
    const job = await transaction.job.update({ where: { id: jobId }, data: { eventSequence: { increment: 1 } } });
    const name = `file-${job.eventSequence}`;
    await appendJobEvent(transaction, job, { type: 'JobFileAdded', fileId: jobId, name, kind: 'LOG' });
    return job.eventSequence;
  });
  createWake(db)(eventsChannel);
  return sequence;
}
