/** Telling of something that happened to a job: its number and its event go into the transaction of the change. */
import type { Transaction } from '../db.js';
import { appendJobEvent } from '../events/outbox.js';
import type { Job, JobWarning } from '../generated/prisma/client.js';
import type { JobEventPayload } from '../jobs/events.js';
import type { WarningCode } from '../jobs/warnings.js';

/** Raises the job's event number and appends the event. Null when the incarnation, if one is given, is not the newest any more. */
export async function tell(
  transaction: Transaction,
  { jobId, incarnation }: { jobId: string; incarnation?: number },
  payload: JobEventPayload,
): Promise<Job | null> {
  const [job] = await transaction.job.updateManyAndReturn({
    where: { id: jobId, ...(incarnation === undefined ? {} : { incarnation }) },
    data: { eventSequence: { increment: 1 } },
  });
  if (job) await appendJobEvent(transaction, job, payload);
  return job ?? null;
}

/** Orders what is written about a job: whoever is second waits until the first has committed. To be called first of all. */
export async function lockJob(transaction: Transaction, jobId: string): Promise<void> {
  await transaction.$queryRaw`SELECT 1 FROM job WHERE id = ${jobId}::uuid FOR UPDATE`;
}

/** Ends open warnings of a job, and tells so. */
export async function endWarnings(transaction: Transaction, warnings: readonly JobWarning[]): Promise<void> {
  for (const { jobId, code, raisedAt } of warnings) {
    await tell(transaction, { jobId }, { type: 'JobWarningCleared', code: code as WarningCode });
    await transaction.jobWarning.update({
      where: { jobId_code_raisedAt: { jobId, code, raisedAt } },
      data: { clearedAt: new Date() },
    });
  }
}
