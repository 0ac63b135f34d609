/** Activities of one machine's recorder worker: record a job, steer and stop it, or throw away what it left. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Config } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import type { RecorderActivities } from '../../src/jobs/messages.js';
import type { Captures } from '../../src/services/captures.js';
import type { Transitions } from '../../src/services/transitions.js';
import type { ViewerPageUrl } from '../../src/services/viewer-page.js';
import type { PartStore } from '../../src/storage/parts.js';
import type { Storage } from '../../src/storage/storage.js';
import type { Engine } from '../../src/temporal/client.js';
import { findRecorded } from '../finalize/recorded.js';
import { commandHost, endHosts, incarnationFolder, incarnationsIn } from '../host/folders.js';
import { jobFolder } from '../machine.js';
import { removeShippedParts } from '../shipping/fetch.js';
import type { StatsWriter } from '../stats.js';
import { createFileActivities } from './files.js';
import { type Attention, recordJob } from './record.js';
import type { Work } from './work.js';

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
  /** Where parts are kept besides this machine; null: nowhere. */
  parts: PartStore | null;
  work: Work;
  stats: StatsWriter;
  /** The address of our own viewer page for a job of a room, with a token in it. */
  viewerPageUrl: ViewerPageUrl;
  log: Logger;
}

export interface RecorderWorkerActivities {
  activities: RecorderActivities;
  /** The job goes on on another machine: its host closes its part and ends. Nothing happens when it is not recorded here. */
  handOver(jobId: string): void;
  /** The service is being shut down: every host closes its part and ends; the jobs go on at the next start. */
  suspend(): Promise<void>;
}

export function createRecorderActivities(deps: RecorderDeps): RecorderWorkerActivities {
  const { config, db, captures, parts, work, log } = deps;
  const recordings = new Map<string, { attention: Attention; done: Promise<unknown> }>();
  let suspending = false;
  const handedOver = new Set<string>();

  /** Gives the newest host of the job a command; false when there is none. */
  async function command(jobId: string, name: 'stop' | 'suspend'): Promise<boolean> {
    const folder = jobFolder(config, jobId);
    const newest = incarnationsIn(folder).at(-1);
    return newest !== undefined && commandHost(incarnationFolder(folder, newest), { command: name });
  }

  function suspendHost(jobId: string): void {
    void command(jobId, 'suspend').catch((error) => log.warn({ jobId, err: error }, 'a host was not suspended'));
  }

  const activities: Omit<RecorderActivities, 'finalize' | 'deliver'> = {
    async record({ jobId }) {
      const attention: Attention = { stopAsked: false, nudges: 0 };
      const done = work.on(jobId, () =>
        recordJob(deps, jobId, attention, {
          isSuspending: () => suspending,
          isHandingOver: () => handedOver.has(jobId),
        }),
      );
      const recording = { attention, done: done.catch(() => {}) };
      recordings.set(jobId, recording);
      try {
        return await done;
      } finally {
        if (recordings.get(jobId) === recording) recordings.delete(jobId);
        // It may come back one day.
        handedOver.delete(jobId);
      }
    },

    async stopRecording({ jobId }) {
      const recording = recordings.get(jobId);
      if (recording) recording.attention.stopAsked = true;
      const reached = await command(jobId, 'stop');
      if (!reached && !recording) throw new Error('nobody records this job on this machine at the moment');
    },

    async steer({ jobId }) {
      const recording = recordings.get(jobId);
      // Whoever records it next reads the row.
      if (!recording) throw new Error('nobody records this job on this machine at the moment');
      recording.attention.nudges += 1;
    },

    async discard({ jobId }) {
      await work.on(jobId, async () => {
        const folder = jobFolder(config, jobId);
        await endHosts(folder);
        const { state } = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true } });
        // Its first frames were not written down any more: they stay for as long as those of a failed job.
        if (state === 'EXPIRED' && (await findRecorded(folder)).parts.length > 0) return;
        await captures.partsRemoved(jobId);
        if (parts) await removeShippedParts(parts, jobId);
        await rm(folder, { recursive: true, force: true });
      });
    },
  };

  return {
    activities: { ...activities, ...createFileActivities(deps) },
    handOver(jobId) {
      if (!recordings.has(jobId) || handedOver.has(jobId)) return;
      handedOver.add(jobId);
      suspendHost(jobId);
    },
    async suspend() {
      suspending = true;
      const running = [...recordings];
      for (const [jobId] of running) suspendHost(jobId);
      await Promise.race([Promise.all(running.map(([, { done }]) => done)), sleep(suspendLimitMs)]);
    },
  };
}
