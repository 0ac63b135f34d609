/** The jobs role: runs the workflows, writes their transitions, places jobs on machines, and reconciles. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createRoomTokens } from '../src/auth/room-tokens.js';
import { type Config, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { listen } from '../src/events/listen.js';
import { createWake, eventsChannel, placementChannel, schedulesChannel } from '../src/events/outbox.js';
import { removeOldEvents } from '../src/events/retention.js';
import { announcedStorage } from '../src/installation.js';
import { jobsTaskQueue } from '../src/jobs/messages.js';
import { webhooksTaskQueue } from '../src/jobs/webhook-messages.js';
import { createGate } from '../src/net/gate.js';
import { type Repeated, repeat } from '../src/repeat.js';
import { createArchives } from '../src/services/archives.js';
import { createCaptures } from '../src/services/captures.js';
import { createFileRemoval } from '../src/services/file-removal.js';
import { createJobEnds } from '../src/services/job-ends.js';
import { createUrlCheck } from '../src/services/page-urls.js';
import { createPlacement } from '../src/services/placement.js';
import { reconcile } from '../src/services/reconciler.js';
import { createRecordingRuns } from '../src/services/recording-runs.js';
import { createRecordingUpkeep } from '../src/services/recording-upkeep.js';
import { createRetention } from '../src/services/retention.js';
import { createScheduleUpkeep } from '../src/services/schedule-upkeep.js';
import { createScheduledJobs } from '../src/services/scheduled-jobs.js';
import { createScheduledRuns } from '../src/services/scheduled-runs.js';
import { createSources } from '../src/services/sources.js';
import { createJobStarter } from '../src/services/start-job.js';
import { createTargetUrlCheck } from '../src/services/target-urls.js';
import { stopTasks } from '../src/services/task-upkeep.js';
import { createTasks } from '../src/services/tasks.js';
import { createTransitions } from '../src/services/transitions.js';
import { storageIdentity } from '../src/storage/identity.js';
import { openStorage } from '../src/storage/open.js';
import { createAlarms } from '../src/temporal/alarms.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { callbackPolicy, createCallbackUrlCheck } from '../src/webhooks/callback-url.js';
import { createDeliverer } from '../src/webhooks/deliver.js';
import { createDispatcher } from '../src/webhooks/dispatch.js';
import { removeOldDeliveries } from '../src/webhooks/retention.js';
import { createWebhookSecrets } from '../src/webhooks/secrets.js';
import { createJobActivities } from './activities/jobs.js';
import { createScheduleActivities } from './activities/schedules.js';
import { createWebhookActivities } from './activities/webhooks.js';
import { type RunningWorker, startTemporalWorker } from './temporal-worker.js';

/** A lost wake-up, or a machine that came or went, is noticed this late. */
const placementIntervalMs = 1_000;
const reconcileIntervalMs = 60_000;
const retentionIntervalMs = 60_000;
/** A run that its client's request could not end is ended this late. */
const recordingsIntervalMs = 2_000;
/** So is a task that the engine could not be asked to stop. */
const tasksIntervalMs = 2_000;
/** What an alarm of the engine should have started is started this late besides; a lost wake-up costs it as much. */
const schedulesIntervalMs = 2_000;
/** Alarms that the engine has lost are set again this late. */
const alarmsIntervalMs = 60_000;
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
  const transitions = createTransitions({ db, wake, config });
  const placement = createPlacement({ db, wake, engine, transitions, config, log });
  const captures = createCaptures({ db, wake, transitions });
  const starter = createJobStarter({ db, wake, config, engine });
  const ends = createJobEnds({ db, engine, config });
  const recordingRuns = createRecordingRuns({ db, config, ends, starter });
  const sources = createSources({ db, checkUrl: createUrlCheck(config) });
  const checks = { checkCallbackUrl: createCallbackUrlCheck(config), checkTargetUrl: createTargetUrlCheck(config) };
  const scheduledRuns = createScheduledRuns({
    ...{ db, wake, starter, runs: recordingRuns },
    jobs: createScheduledJobs({
      ...{ db, runs: recordingRuns },
      archives: createArchives({ db, config, starter, sources, ...checks }),
      tasks: createTasks({ db, config, starter, ends, sources, tokens: createRoomTokens(db), ...checks }),
    }),
  });
  const worker = await startTemporalWorker(config, log, {
    taskQueue: jobsTaskQueue,
    workflowBundle: { codePath: join(config.projectRoot, 'build', 'workflows.js') },
    activities: {
      ...createJobActivities({ db, captures, transitions, placement, wake }),
      ...createScheduleActivities(scheduledRuns),
    },
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
  const storage = openStorage(config).files;
  const files = createFileRemoval({ db, wake, storage });
  const retention = createRetention({ db, wake, removal: files, reminderMs: config.fileReminderMs });
  const storageId = storageIdentity(config);
  // What the API does not serve from is not this process' to remove from.
  const expiring = repeat(
    retentionIntervalMs,
    async () => (await announcedStorage(db)) === storageId && retention.run(),
    (error) => log.warn({ err: error }, 'removing files whose time is over failed'),
  );
  const upkeep = createRecordingUpkeep({ db, files, log, sharedParts: config.s3 !== null, runs: recordingRuns });
  const keeping = repeat(recordingsIntervalMs, upkeep.look, (error) =>
    log.warn({ err: error }, 'looking after recordings failed'),
  );
  const stoppingTasks = repeat(
    tasksIntervalMs,
    () => stopTasks({ db, ends, log }),
    (error) => log.warn({ err: error }, 'stopping tasks failed'),
  );
  const schedules = createScheduleUpkeep({ db, engine, log, alarms: createAlarms(client), runs: scheduledRuns });
  const starting = repeat(schedulesIntervalMs, schedules.startLate, (error) =>
    log.warn({ err: error }, 'starting what is due by schedules failed'),
  );
  const telling = repeat(schedulesIntervalMs, schedules.tell, (error) =>
    log.warn({ err: error }, 'telling the engine of schedules failed, trying again'),
  );
  const comparing = repeat(alarmsIntervalMs, schedules.compare, (error) =>
    log.warn({ err: error }, 'comparing the alarms of schedules failed'),
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
  const listening: Record<string, Repeated> = {
    ...{ [placementChannel]: placing, [eventsChannel]: dispatching, [schedulesChannel]: telling },
  };
  const listener = listen({
    ...{ url, log },
    channels: [placementChannel, eventsChannel, schedulesChannel],
    onWake: (channel) => listening[channel]?.now(),
  });
  return {
    done: Promise.all([worker.done, callbacks.done]).then(() => {}),
    async close() {
      stopping.abort();
      await listener.close();
      const repeated = [
        placing,
        reconciling,
        dispatching,
        removing,
        forgetting,
        expiring,
        keeping,
        stoppingTasks,
        starting,
        telling,
        comparing,
      ];
      await Promise.all(repeated.map((each) => each.close()));
      await Promise.all([worker.shutdown(), callbacks.shutdown()]);
      await client.connection.close();
      await db.$disconnect();
    },
  };
}
