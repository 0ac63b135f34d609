/** Watches one recorder host to its end: what the host says in its files is written down for everyone to see. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type {
  CaptureStats,
  HostOutcome,
  HostPhase,
  HostStatus,
  ManifestEntry,
  PartEnd,
} from '../../src/jobs/capture.js';
import { unfinishedProgress } from '../../src/jobs/progress.js';
import type { Captures } from '../../src/services/captures.js';
import type { Transitions } from '../../src/services/transitions.js';
import { findHost, killHost, readStatus } from '../host/client.js';
import { readManifest } from '../parts/manifest.js';
import type { StatsWriter } from '../stats.js';

const lookIntervalMs = 200;
const tellIntervalMs = 1_000;

/** A host that says nothing for this long is not beaten for: its loop hangs, though the process lives. */
const statusSilenceMs = 10_000;
/** No more bytes for this long while recording is no recording; the host itself reacts after 5 s. */
const growthSilenceMs = 20_000;

/** A host that has been unwell for this long is killed, well within the heartbeat timeout: another one goes on. */
const unwellLimitMs = 30_000;

/** What earlier incarnations recorded. */
export interface Baseline {
  positionMs: number;
  bytes: number;
}

export interface Watch {
  jobId: string;
  incarnation: number;
  folder: string;
  maxDurationMs: number;
  baseline: Baseline;
  /** Tells the workflow of the first frame; tried again until it succeeds. */
  tellRecording(): Promise<void>;
  /** Called at each look while the recording goes well. */
  beat(): void;
  /** Aborted, with the error to throw, when the watching shall end and the host go on. */
  detached: AbortSignal;
}

export interface WatchDeps {
  captures: Captures;
  transitions: Transitions;
  stats: StatsWriter;
  log: Logger;
}

/** `lost`: the host is gone without a word. */
export type WatchResult = HostOutcome | { kind: 'lost' };

export async function watchHost(deps: WatchDeps, watch: Watch): Promise<WatchResult> {
  const { log } = deps;
  const { folder } = watch;
  const book = createBookkeeper(deps, watch);
  const health = createHealth();
  const ended = new AbortController();
  let told = false;
  let unread = 0;
  const waiting: ManifestEntry[] = [];

  try {
    for (;;) {
      // Asked before reading: whatever a host wrote before it died is read below.
      const host = findHost(folder);
      const status = readStatus(folder);
      const manifest = readManifest(folder, unread);
      unread = manifest.nextByte;
      waiting.push(...manifest.entries);
      if (status) health.see(status);
      const unwellMs = health.unwellMs();
      if (host && unwellMs === 0) watch.beat();
      if (host && unwellMs > unwellLimitMs) {
        log.warn({ jobId: watch.jobId }, 'a recorder host hangs and is killed');
        await killHost(host);
        continue;
      }

      try {
        for (let entry = waiting[0]; entry; entry = waiting[0]) {
          if (entry.type === 'ended') {
            await deps.stats.flush();
            return entry.outcome;
          }
          await book.write(entry);
          waiting.shift();
          if (entry.type === 'first-frame' && !told) {
            told = true;
            void untilDone(watch.tellRecording, AbortSignal.any([watch.detached, ended.signal]));
          }
        }
        if (status) await book.follow(status);
      } catch (error) {
        // The recording goes on without us; what could not be written is written when the database is back.
        log.warn({ jobId: watch.jobId, err: error }, 'the state of a recording could not be written, trying again');
      }

      if (!host && waiting.length === 0) {
        await book.hostDied(status?.stats);
        return { kind: 'lost' };
      }
      await sleep(lookIntervalMs, undefined, { signal: watch.detached }).catch(() => {});
      watch.detached.throwIfAborted();
    }
  } finally {
    ended.abort();
  }
}

/** Writes down what the manifest and the status say, each thing once. */
function createBookkeeper({ captures, transitions, stats }: WatchDeps, watch: Watch) {
  const { jobId, incarnation } = watch;
  const key = (number: number) => ({ jobId, incarnation, number });
  let open: number | undefined;
  let closedMs = 0;
  let closedBytes = 0;
  let phase: HostPhase | undefined;
  let reportedAt = 0;

  return {
    async write(entry: ManifestEntry): Promise<void> {
      if (entry.type === 'first-frame') {
        await captures.partStarted(key(entry.part), new Date(entry.at));
        open = entry.part;
      }
      if (entry.type === 'part-ended' && open === entry.part) {
        await captures.partEnded(key(entry.part), entry);
        closedMs += entry.durationMs;
        closedBytes += entry.bytes;
        open = undefined;
      }
    },

    async follow(status: HostStatus): Promise<void> {
      if (status.phase !== phase) {
        // The first frame of a part enters RECORDING by itself; this serves the host that is found recording.
        if (status.phase === 'RECORDING' && open !== undefined)
          await transitions.transition({ jobId, to: 'RECORDING', incarnation });
        if (status.phase === 'RECONNECTING') await transitions.transition({ jobId, to: 'RECONNECTING', incarnation });
        phase = status.phase;
      }
      if (status.at === reportedAt || status.stats.frames === 0) return;
      reportedAt = status.at;
      const positionMs = watch.baseline.positionMs + status.stats.positionMs;
      const bytes = watch.baseline.bytes + status.stats.bytes;
      const progress = Math.min(unfinishedProgress, (100 * positionMs) / watch.maxDurationMs);
      stats.set({ jobId, incarnation, progress, stats: { ...status.stats, positionMs, bytes } });
    },

    async hostDied(last: CaptureStats | undefined): Promise<void> {
      const cause: PartEnd = 'HOST_DIED';
      if (open !== undefined) {
        // What the host last said, for now; finalizing measures what is really in the file.
        const durationMs = Math.max(0, Math.round((last?.positionMs ?? 0) - closedMs));
        const bytes = Math.max(0, (last?.bytes ?? 0) - closedBytes);
        await captures.partEnded(key(open), { durationMs, bytes, cause });
      }
      await transitions.transition({ jobId, to: 'RECONNECTING', incarnation });
    },
  };
}

/**
 * Whether a host is worth a sign of life to Temporal: it reports, and while it records its media grows. By our own
 * monotonic clock, so that neither a clock that is set nor a machine that slept makes a good host look dead.
 */
function createHealth() {
  let reportedAt = 0;
  let bytes = -1;
  let heardMs = performance.now();
  let grewMs = performance.now();
  return {
    see(latest: HostStatus): void {
      if (latest.at !== reportedAt) heardMs = performance.now();
      if (latest.stats.bytes !== bytes || latest.phase !== 'RECORDING') grewMs = performance.now();
      reportedAt = latest.at;
      bytes = latest.stats.bytes;
    },
    /** For how long it has been silent, or recording nothing, beyond what is usual; 0 while it is well. */
    unwellMs(): number {
      const silentMs = performance.now() - heardMs - statusSilenceMs;
      const barrenMs = performance.now() - grewMs - growthSilenceMs;
      return Math.max(0, silentMs, barrenMs);
    },
  };
}

async function untilDone(action: () => Promise<void>, end: AbortSignal): Promise<void> {
  while (!end.aborted) {
    try {
      return await action();
    } catch {
      await sleep(tellIntervalMs, undefined, { signal: end }).catch(() => {});
    }
  }
}
