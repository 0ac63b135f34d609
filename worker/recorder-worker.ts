/** The recorder role: offers this machine's slots, and records the jobs that are placed on it. */
import type { Logger } from 'pino';
import { type Config, dataFolder, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { createWake } from '../src/events/outbox.js';
import { recorderTaskQueue } from '../src/jobs/messages.js';
import { repeat } from '../src/repeat.js';
import { createCaptures } from '../src/services/captures.js';
import { createMachines } from '../src/services/machines.js';
import { createTransitions } from '../src/services/transitions.js';
import { createLocalStorage } from '../src/storage/local.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { version } from '../src/version.js';
import { failAbandonedAttempts } from './activities/leases.js';
import { createRecorderActivities } from './activities/recorder.js';
import { machineId } from './machine.js';
import { startStatsWriter } from './stats.js';
import { type RunningWorker, startTemporalWorker } from './temporal-worker.js';

const reportIntervalMs = 5_000;
/** Admission is the allocator's; on top of its slots stops, finalizing and late endings must always find room. */
const spareActivities = 50;

export async function startRecorderWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const db = createDatabase(requireDatabaseUrl(config));
  const wake = createWake(db);
  const id = machineId(config);
  const client = createTemporalClient(config);
  const transitions = createTransitions({ db, wake, config });
  const stats = startStatsWriter({ db, wake, log });
  const recorder = createRecorderActivities({
    config,
    db,
    machineId: id,
    engine: createEngine(client),
    captures: createCaptures({ db, wake, transitions }),
    transitions,
    storage: createLocalStorage(dataFolder(config, 'files')),
    stats,
    log,
  });
  const worker = await startTemporalWorker(
    config,
    log,
    {
      taskQueue: recorderTaskQueue(id),
      activities: recorder.activities,
      maxConcurrentActivityTaskExecutions: config.recorder.slots + spareActivities,
    },
    () => failAbandonedAttempts(client, config, log),
  );
  const machines = createMachines({ db, wake });
  const { slots } = config.recorder;
  const report = (offered: number) => machines.report({ id, version, slots: offered });
  const reporting = repeat(
    reportIntervalMs,
    () => report(slots),
    (error) => log.warn({ err: error }, 'this machine could not report itself'),
  );
  return {
    done: worker.done,
    suspend: recorder.suspend,
    async close() {
      await reporting.close();
      // Offering nothing is the last word: no job is sent to a machine that goes away.
      await report(0).catch(() => {});
      await worker.shutdown();
      await stats.close();
      await client.connection.close();
      await db.$disconnect();
    },
  };
}
