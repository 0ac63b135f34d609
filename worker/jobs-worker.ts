/** The jobs role: runs the workflows, writes their transitions, places jobs on machines, and reconciles. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Config, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { listen } from '../src/events/listen.js';
import { createWake, placementChannel } from '../src/events/outbox.js';
import { jobsTaskQueue } from '../src/jobs/messages.js';
import { repeat } from '../src/repeat.js';
import { createPlacement } from '../src/services/placement.js';
import { reconcile } from '../src/services/reconciler.js';
import { createTransitions } from '../src/services/transitions.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { createJobActivities } from './activities/jobs.js';
import { type RunningWorker, startTemporalWorker } from './temporal-worker.js';

/** A lost wake-up, or a machine that came or went, is noticed this late. */
const placementIntervalMs = 1_000;
const reconcileIntervalMs = 60_000;

export async function startJobsWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const url = requireDatabaseUrl(config);
  const db = createDatabase(url);
  const wake = createWake(db);
  const client = createTemporalClient(config);
  const engine = createEngine(client);
  const placement = createPlacement({ db, engine, log });
  const worker = await startTemporalWorker(config, log, {
    taskQueue: jobsTaskQueue,
    workflowBundle: { codePath: join(config.projectRoot, 'build', 'workflows.js') },
    activities: createJobActivities({ transitions: createTransitions({ db, wake, config }), placement, wake }),
  });
  const placing = repeat(
    placementIntervalMs,
    () => placement.run(),
    (error) => log.warn({ err: error }, 'placing jobs failed'),
  );
  const reconciling = repeat(
    reconcileIntervalMs,
    () => reconcile({ db, engine, config, log }),
    (error) => log.warn({ err: error }, 'reconciling failed'),
  );
  const listener = listen({ url, channels: [placementChannel], onWake: () => placing.now(), log });
  return {
    done: worker.done,
    async close() {
      await listener.close();
      await Promise.all([placing.close(), reconciling.close()]);
      await worker.shutdown();
      await client.connection.close();
      await db.$disconnect();
    },
  };
}
