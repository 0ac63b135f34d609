/** Makes what users see and what the engine does agree again, whatever was lost in between: at boot and every minute. */
import type { Logger } from 'pino';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Job } from '../generated/prisma/client.js';
import { isTerminal, jobStates } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { resumingInput } from './job-input.js';

/** A row this young is still being started by the request that made it. */
const graceMs = 5_000;
const batchSize = 500;
/** Whoever was to act at the deadline has had this long. */
const overdueMs = 30_000;

/**
 * Starts the workflow of every unfinished job that has none: the request that should have started it died, or Temporal's
 * store was lost. One that waits to be placed, or to be told where, has none until the allocator starts it. Answers how many
 * were started. Safe to run in several processes: a workflow starts once.
 */
export async function reconcile(deps: { db: Database; engine: Engine; config: Config; log: Logger }): Promise<number> {
  const { db, engine, config, log } = deps;
  const unfinished = jobStates.filter((state) => !isTerminal(state));
  let started = 0;
  let after: string | undefined;
  for (;;) {
    const jobs = await db.job.findMany({
      where: {
        state: { in: unfinished },
        stateSince: { lt: new Date(Date.now() - graceMs) },
        NOT: { state: 'QUEUED', placement: { toldAt: null } },
        ...(after ? { id: { gt: after } } : {}),
      },
      orderBy: { id: 'asc' },
      take: batchSize,
    });
    for (const job of jobs) {
      if (await engine.isRunning(job.id)) {
        if (isOverdue(job)) await engine.tellOverdue(job.id, { state: job.state });
        continue;
      }
      // It may have ended while the ones before it were looked at.
      const { state: now } = await db.job.findUniqueOrThrow({ where: { id: job.id }, select: { state: true } });
      if (isTerminal(now)) continue;
      log.warn({ jobId: job.id, state: job.state }, 'the workflow of an unfinished job was missing, starting it');
      await engine.startJob(resumingInput(job, config));
      started++;
    }
    after = jobs.at(-1)?.id;
    if (jobs.length < batchSize) return started;
  }
}

/**
 * Whether a job is where its workflow should have got it out of. The workflow counts all other states itself; of these it
 * only hears when a recorder has given up, which one that fails again and again never does.
 */
function isOverdue({ state, deadlineAt }: Pick<Job, 'state' | 'deadlineAt'>): boolean {
  return state === 'RECONNECTING' && deadlineAt !== null && deadlineAt.getTime() + overdueMs < Date.now();
}
