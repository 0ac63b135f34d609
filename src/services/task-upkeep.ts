/** Tasks that were to stop while the engine was away, or whoever should have asked it was restarted. */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import { liveStates } from '../jobs/states.js';
import type { JobEnds } from './job-ends.js';

/** Whoever accepted the stop has asked the engine by then. */
const patienceMs = 2_000;
/** Older stops have long been done: what is live has been stopped, or is no task. */
const lookBackMs = 7 * 24 * 3_600_000;
const tasksAtOnce = 100;

/** Stops them. Safe at any time, also twice at once. */
export async function stopTasks({ db, ends, log }: { db: Database; ends: JobEnds; log: Logger }): Promise<void> {
  const now = Date.now();
  const late = await db.task.findMany({
    where: {
      stopRequestedAt: { gt: new Date(now - lookBackMs), lt: new Date(now - patienceMs) },
      job: { state: { in: liveStates } },
    },
    take: tasksAtOnce,
    select: { id: true },
  });
  const ids = late.map(({ id }) => id);
  for (const { jobId, error } of await ends.endAll(ids, 'USER_INITIATED'))
    log.warn({ jobId, err: error }, 'a task that is to stop could not be stopped yet');
}
