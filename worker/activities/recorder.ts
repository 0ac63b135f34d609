/** Activities of one machine's recorder worker: record a job, stop it, finalize what it left, or throw that away. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import type { Config } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import type { RecorderActivities } from '../../src/jobs/messages.js';
import { shownProgress, unfinishedProgress } from '../../src/jobs/progress.js';
import type { Captures } from '../../src/services/captures.js';
import type { Transitions } from '../../src/services/transitions.js';
import type { Storage } from '../../src/storage/storage.js';
import type { Engine } from '../../src/temporal/client.js';
import { finalizeJob, LengthMismatchError, removeParts } from '../finalize/finalize.js';
import { commandHost, endHosts, incarnationFolder, incarnationsIn } from '../host/folders.js';
import { jobFolder } from '../machine.js';
import type { StatsWriter } from '../stats.js';
import { type Attention, recordJob } from './record.js';

const beatIntervalMs = 5_000;
/** A host closes its part within 10 s, or kills its encoder. */
const suspendLimitMs = 20_000;

export interface RecorderDeps {
  config: Config;
  db: Database;
  machineId: string;
  engine: Engine;
  captures: Captures;
  transitions: Transitions;
  storage: Storage;
  stats: StatsWriter;
  log: Logger;
}

export interface RecorderWorkerActivities {
  activities: RecorderActivities;
  /** The service is being shut down: every host closes its part and ends; the jobs go on at the next start. */
  suspend(): Promise<void>;
}

export function createRecorderActivities(deps: RecorderDeps): RecorderWorkerActivities {
  const { config, db, captures, storage, log } = deps;
  const recordings = new Map<string, { attention: Attention; done: Promise<unknown> }>();
  let suspending = false;

  /** Gives the newest host of the job a command; false when there is none. */
  async function command(jobId: string, name: 'stop' | 'suspend'): Promise<boolean> {
    const folder = jobFolder(config, jobId);
    const newest = incarnationsIn(folder).at(-1);
    return newest !== undefined && commandHost(incarnationFolder(folder, newest), name);
  }

  const activities: RecorderActivities = {
    async record({ jobId }) {
      const attention: Attention = { stopAsked: false };
      const done = recordJob(deps, jobId, attention, () => suspending);
      const recording = { attention, done: done.catch(() => {}) };
      recordings.set(jobId, recording);
      try {
        return await done;
      } finally {
        if (recordings.get(jobId) === recording) recordings.delete(jobId);
      }
    },

    async stopRecording({ jobId }) {
      const recording = recordings.get(jobId);
      if (recording) recording.attention.stopAsked = true;
      const reached = await command(jobId, 'stop');
      if (!reached && !recording) throw new Error('nobody records this job on this machine at the moment');
    },

    async finalize({ jobId }) {
      const context = Context.current();
      const folder = jobFolder(config, jobId);
      const job = await db.job.findUniqueOrThrow({ where: { id: jobId }, include: { archive: true, stats: true } });
      if (job.recordedMs !== null) {
        await removeParts(folder);
        return { recordedMs: job.recordedMs };
      }
      // Hashing and copying gigabytes report nothing for minutes; that they end is the business of the time limits.
      const beating = setInterval(() => context.heartbeat(), beatIntervalMs);
      try {
        // Parts are only touched when nobody writes them any more.
        await endHosts(folder);
        const base = shownProgress(job);
        const result = await finalizeJob({
          jobFolder: folder,
          jobId,
          name: job.archive?.name ?? 'Recording',
          storage,
          tools: config.recorder,
          signal: context.cancellationSignal,
          onProgress: (fraction) => deps.stats.setProgress(jobId, base + (unfinishedProgress - base) * fraction),
        });
        await captures.delivered(jobId, result);
        await removeParts(folder);
        return { recordedMs: result.recordedMs };
      } catch (error) {
        // Everything else may pass: a full disk, a database that is away, a process that was killed.
        if (error instanceof LengthMismatchError) throw ApplicationFailure.nonRetryable(error.message, error.name);
        throw error;
      } finally {
        clearInterval(beating);
      }
    },

    async discard({ jobId }) {
      const folder = jobFolder(config, jobId);
      await endHosts(folder);
      await rm(folder, { recursive: true, force: true });
    },
  };

  return {
    activities,
    async suspend() {
      suspending = true;
      const running = [...recordings];
      for (const [jobId] of running) {
        await command(jobId, 'suspend').catch((error) => log.warn({ jobId, err: error }, 'a host was not suspended'));
      }
      await Promise.race([Promise.all(running.map(([, { done }]) => done)), sleep(suspendLimitMs)]);
    },
  };
}
