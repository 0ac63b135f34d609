/** The recorder role: offers this machine's slots, and records the jobs that are placed on it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { createRoomTokens } from '../src/auth/room-tokens.js';
import { type Config, inputHostOf, requireDatabaseUrl } from '../src/config.js';
import { createDatabase } from '../src/db.js';
import { createWake } from '../src/events/outbox.js';
import { type Pool, pools } from '../src/jobs/cost.js';
import { recorderTaskQueue } from '../src/jobs/messages.js';
import { repeat } from '../src/repeat.js';
import { createCaptures } from '../src/services/captures.js';
import { readRooms } from '../src/services/machine-rooms.js';
import { createMachines, type ReportOutcome } from '../src/services/machines.js';
import { readQueue, readRecordedOn } from '../src/services/queue.js';
import { createTransitions } from '../src/services/transitions.js';
import { createViewerPageUrl } from '../src/services/viewer-page.js';
import { storageIdentity } from '../src/storage/identity.js';
import { openStorage } from '../src/storage/open.js';
import { createEngine, createTemporalClient } from '../src/temporal/client.js';
import { version } from '../src/version.js';
import { failAbandonedAttempts } from './activities/leases.js';
import { createRecorderActivities } from './activities/recorder.js';
import { createWork } from './activities/work.js';
import { displays, freeBytes, loadOfMachine, machineId } from './machine.js';
import { startStatsWriter } from './stats.js';
import { createSweep } from './sweep.js';
import { type RunningWorker, startTemporalWorker } from './temporal-worker.js';

const reportIntervalMs = 5_000;
/** Of a new installation the API is about to say where files are kept: the first job must not wait for it for 5 s. */
const newInstallationLookMs = 500;
const sweepIntervalMs = 600_000;
const forgetIntervalMs = 10_000;
const drainLookMs = 1_000;
/** Admission is the allocator's; on top of its slots stops, finalizing and late endings must always find room. */
const spareActivities = 50;

export async function startRecorderWorker(config: Config, log: Logger): Promise<RunningWorker> {
  const db = createDatabase(requireDatabaseUrl(config));
  const wake = createWake(db);
  const id = machineId(config);
  const client = createTemporalClient(config);
  const transitions = createTransitions({ db, wake, config });
  const storage = openStorage(config);
  const stats = startStatsWriter({ db, wake, log });
  const captures = createCaptures({ db, wake, transitions });
  const work = createWork();
  const sweep = createSweep({
    ...{ config, db, machineId: id, captures, work, log },
    ...{ parts: storage.parts, storage: storage.files },
  });
  const recorder = createRecorderActivities({
    config,
    db,
    machineId: id,
    engine: createEngine(client),
    captures,
    transitions,
    storage: storage.files,
    parts: storage.parts,
    work,
    stats,
    viewerPageUrl: createViewerPageUrl({ config, tokens: createRoomTokens(db) }),
    log,
  });
  const worker = await startTemporalWorker(
    config,
    log,
    {
      taskQueue: recorderTaskQueue(id),
      activities: recorder.activities,
      maxConcurrentActivityTaskExecutions: config.recorder.slots + config.recorder.copySlots + spareActivities,
    },
    async () => {
      await failAbandonedAttempts(client, config, log);
      await sweep
        .endStrayHosts()
        .catch((error) =>
          log.warn({ err: error }, 'recorder hosts that are not needed any more could not be looked for'),
        );
    },
  );
  const machines = createMachines({ db, wake });
  let { slots, copySlots } = config.recorder;
  let isDraining = false;
  const shows = displays(config);
  if (shows === 0) log.warn('this machine records no pages: Chromium, Xvfb or PulseAudio is missing');
  const inputHost = inputHostOf(config);
  const storageId = storageIdentity(config);
  let told: ReportOutcome['kind'] = 'offered';
  const report = async (): Promise<void> => {
    const outcome = await machines.report({
      ...{ id, version, slots, copySlots, displays: shows, isDraining, inputHost, storageId },
      freeBytes: freeBytes(config),
      ...loadOfMachine(),
    });
    if (outcome.kind === 'storage-unknown') setTimeout(() => reporting.now(), newInstallationLookMs).unref();
    if (outcome.kind !== told) tellOutcome(outcome, storageId, log);
    told = outcome.kind;
  };
  const reporting = repeat(reportIntervalMs, report, (error) =>
    log.warn({ err: error }, 'this machine could not report itself'),
  );
  const forgetting = repeat(forgetIntervalMs, sweep.forgetDeleted, (error) =>
    log.warn({ err: error }, 'what is left of deleted recordings could not be removed yet'),
  );
  const sweeping = repeat(sweepIntervalMs, sweep.run, (error) => log.warn({ err: error }, 'sweeping failed'));

  /** Whether nothing is left that only this machine can do. */
  async function isIdle(): Promise<boolean> {
    if (!work.isDone()) return false;
    const [placed, finalizing] = await Promise.all([
      db.placement.count({ where: { machineId: id } }),
      db.job.count({ where: { machineId: id, state: 'FINALIZING' } }),
    ]);
    return placed + finalizing === 0;
  }

  /** As many as others have places for: until then they are recorded here. */
  async function giveAway(): Promise<void> {
    const others = (await readRooms(db)).filter(({ machineId }) => machineId !== id);
    const waiting = (await readQueue(db, pools, 1)).filter(({ isInterrupted }) => isInterrupted);
    const free = (pool: Pool) =>
      others.reduce((sum, { freeSlots }) => sum + freeSlots[pool], 0) -
      waiting.filter((job) => job.pool === pool).length;
    const own = await readRecordedOn(db, id);
    for (const pool of pools) {
      const given = own.filter((job) => job.pool === pool).slice(0, Math.max(0, free(pool)));
      for (const { jobId } of given) recorder.handOver(jobId);
    }
  }

  async function drain(): Promise<void> {
    log.info('draining: no new jobs are taken, and this process ends when those it has are finished');
    slots = copySlots = 0;
    isDraining = true;
    // A database that is away for a moment must not end what goes on.
    const isDrained = () => report().then(isIdle, () => false);
    while (!(await isDrained().catch(() => false))) await sleep(drainLookMs);
  }

  return {
    done: worker.done,
    suspend: recorder.suspend,
    drain,
    async handOver() {
      if (!config.s3) log.warn('without a bucket nobody else reaches what was recorded here: draining instead');
      const giving = config.s3
        ? repeat(drainLookMs, giveAway, (error) => log.warn({ err: error }, 'handing jobs over failed'))
        : null;
      await drain();
      await giving?.close();
    },
    async close() {
      await Promise.all([reporting.close(), sweeping.close(), forgetting.close()]);
      // Offering nothing is the last word: no job is sent to a machine that goes away.
      slots = copySlots = 0;
      await report().catch(() => {});
      await worker.shutdown();
      await stats.close();
      await client.connection.close();
      await db.$disconnect();
    },
  };
}

function tellOutcome(outcome: ReportOutcome, storedIn: string, log: Logger): void {
  if (outcome.kind === 'other-storage') {
    const message =
      "this machine gets no jobs: it would keep files where the API does not look for them. Set S3_BUCKET to the API's bucket " +
      '(and the other S3_ settings as there), or run it with the DATA_DIR of the API';
    log.error({ storedIn, servedFrom: outcome.servedFrom }, message);
  } else if (outcome.kind === 'storage-unknown')
    log.info('this machine gets no jobs until an API of this database was started and has said where files are kept');
  else log.info({ storedIn }, 'files are kept where the API serves them from: this machine takes jobs');
}
