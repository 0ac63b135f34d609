/** Sees to it that every job with a callback that is due has its workflow at work. The table is the truth, whatever was lost. */
import type { Client } from '@temporalio/client';
import type { Database } from '../db.js';
import { jobsTaskQueue } from '../jobs/messages.js';
import { type WebhookInput, wakeSignalName, webhookWorkflowId } from '../jobs/webhook-messages.js';

/**
 * For the same attempt a workflow is woken once, and again after this: then it has been lost, or is at work on a slow one.
 * Twice as long each time: a workflow that nobody can carry on keeps all its signals, and takes 10,000 of them at most.
 * They last for 69 days at the longest of these.
 */
const firstReminderMs = 30_000;
const longestReminderMs = 600_000;
const startDeadlineMs = 5_000;
const startsAtOnce = 20;

/** What a job's workflow was told of last. */
interface Told {
  turn: string;
  at: number;
  remindAfterMs: number;
}

/**
 * A function that starts or wakes the workflow of every job whose first pending delivery is due. Throws the first error
 * when some could not be told, after all others were; the next call tries those again. Ends early when `stopping` is
 * aborted. Safe in several processes: there is one workflow for a job, and it is only told to look.
 */
export function createDispatcher({
  db,
  client,
  stopping,
}: {
  db: Database;
  client: Client;
  stopping: AbortSignal;
}): () => Promise<void> {
  let told = new Map<string, Told>();

  async function wake(jobId: string): Promise<void> {
    await client.withDeadline(Date.now() + startDeadlineMs, () =>
      client.workflow.signalWithStart<(input: WebhookInput) => Promise<void>, []>('webhook', {
        workflowId: webhookWorkflowId(jobId),
        taskQueue: jobsTaskQueue,
        args: [{ jobId }],
        signal: wakeSignalName,
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      }),
    );
  }

  return async () => {
    const due = await db.$queryRaw<{ jobId: string; turn: string }[]>`
      SELECT job_id AS "jobId", concat_ws('/', id, attempt_count, next_attempt_at) AS turn
        FROM (SELECT DISTINCT ON (job_id) job_id, id, attempt_count, next_attempt_at
                FROM webhook_delivery WHERE state = 'PENDING' ORDER BY job_id, sequence) AS first
       WHERE next_attempt_at IS NULL OR next_attempt_at <= ${new Date()}`;
    const now = Date.now();
    const before = told;
    told = new Map();
    const toTell: (Omit<Told, 'at'> & { jobId: string })[] = [];
    for (const { jobId, turn } of due) {
      const earlier = before.get(jobId);
      if (earlier?.turn !== turn) toTell.push({ jobId, turn, remindAfterMs: firstReminderMs });
      else if (now < earlier.at + earlier.remindAfterMs) told.set(jobId, earlier);
      else toTell.push({ jobId, turn, remindAfterMs: Math.min(earlier.remindAfterMs * 2, longestReminderMs) });
    }
    const failures: unknown[] = [];
    for (let from = 0; from < toTell.length && !stopping.aborted; from += startsAtOnce) {
      const batch = toTell.slice(from, from + startsAtOnce).map(async ({ jobId, ...rest }) => {
        await wake(jobId);
        told.set(jobId, { ...rest, at: Date.now() });
      });
      for (const result of await Promise.allSettled(batch)) {
        if (result.status === 'rejected') failures.push(result.reason);
      }
    }
    if (failures.length > 0) throw failures[0];
  };
}
