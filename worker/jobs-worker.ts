/** The jobs role: runs the workflows, writes their transitions, places jobs on machines, and reconciles. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { type Config, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { listen } from '../src/events/listen.js';
import { createWake, eventsChannel, placementChannel } from '../src/events/outbox.js';
import { removeOldEvents } from '../src/events/retention.js';
import { jobsTaskQueue } from '../src/jobs/messages.js';
import { webhooksTaskQueue } from '../src/jobs/webhook-messages.js';
import { createGate } from '../src/net/gate.js';
import { repeat } from '../src/repeat.js';
import { createCaptures } from '../src/services/captures.js';
import { createPlacement } from '../src/services/placement.js';
import { reconcile } from '../src/services/reconciler.js';
import { createTransitions } from '../src/services/transitions.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { callbackPolicy } from '../src/webhooks/callback-url.js';
import { createDeliverer } from '../src/webhooks/deliver.js';
import { createDispatcher } from '../src/webhooks/dispatch.js';
import { removeOldDeliveries } from '../src/webhooks/retention.js';
import { createWebhookSecrets } from '../src/webhooks/secrets.js';
import { createJobActivities } from './activities/jobs.js';
import { createWebhookActivities } from './activities/webhooks.js';
import { type RunningWorker, startTemporalWorker } from './temporal-worker.js';

/** A lost wake-up, or a machine that came or went, is noticed this late. */
const placementIntervalMs = 1_000;
const reconcileIntervalMs = 60_000;
const retentionIntervalMs = 60_000;
/** A lost wake-up costs callbacks this much. */
const dispatchIntervalMs = 2_000;
/** Each waits for a receiver most of the time, 15 s at most. */
const callbacksAtOnce = 100;

export async function startJobsWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const url = requireDatabaseUrl(config);
  const db = createDatabase(url);
  const wake = createWake(db);
  const client = createTemporalClient(config);
  const engine = createEngine(client);
  const placement = createPlacement({ db, engine, log });
  const transitions = createTransitions({ db, wake, config });
  const captures = createCaptures({ db, wake, transitions });
  const worker = await startTemporalWorker(config, log, {
    taskQueue: jobsTaskQueue,
    workflowBundle: { codePath: join(config.projectRoot, 'build', 'workflows.js') },
    activities: createJobActivities({ captures, transitions, placement, wake }),
  });
  const gate = createGate({ policy: callbackPolicy(config) });
  const deliverer = createDeliverer({ db, gate, secrets: createWebhookSecrets({ db }) });
  const callbacks = await startTemporalWorker(config, log, {
    taskQueue: webhooksTaskQueue,
    activities: createWebhookActivities({ deliverer }),
    maxConcurrentActivityTaskExecutions: callbacksAtOnce,
  });
  const stopping = new AbortController();
  const dispatching = repeat(dispatchIntervalMs, createDispatcher({ db, client, stopping: stopping.signal }), (error) =>
    log.warn({ err: error }, 'handing over callbacks failed'),
  );
  const removing = repeat(
    retentionIntervalMs,
    () => removeOldDeliveries(db),
    (error) => log.warn({ err: error }, 'removing old callbacks failed'),
  );
  const forgetting = repeat(
    retentionIntervalMs,
    () => removeOldEvents(db, config.eventRetentionMs, stopping.signal),
    (error) => log.warn({ err: error }, 'removing old events failed'),
  );
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
  const listener = listen({
    ...{ url, log },
    channels: [placementChannel, eventsChannel],
    onWake: (channel) => (channel === placementChannel ? placing : dispatching).now(),
  });
  return {
    done: Promise.all([worker.done, callbacks.done]).then(() => {}),
    async close() {
      stopping.abort();
      await listener.close();
      const repeated = [placing, reconciling, dispatching, removing, forgetting];
      await Promise.all(repeated.map((each) => each.close()));
      await Promise.all([worker.shutdown(), callbacks.shutdown()]);
      await client.connection.close();
      await db.$disconnect();
    },
  };
}
