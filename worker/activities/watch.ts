/** Watches one recorder host to its end: what the host says in its files is written down for everyone to see. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arrangement, HostOutcome, HostPhase, HostStatus, ManifestEntry } from '../../src/jobs/capture.js';
import type { RecorderWish } from '../../src/jobs/messages.js';
import type { Wanted } from '../../src/services/captures.js';
import { findHost, killHost, readStatus } from '../host/client.js';
import { readManifest } from '../parts/manifest.js';
import { type Baseline, type BookDeps, createBookkeeper, type Wished } from './bookkeeper.js';
import type { PieceDelivery } from './piece-delivery.js';

const tellIntervalMs = 1_000;

/** A host that says nothing for this long is not beaten for: its loop hangs, though the process lives. */
const statusSilenceMs = 10_000;
/** No more bytes for this long while recording is no recording; the host itself reacts after 5 s. */
const growthSilenceMs = 20_000;

/** A command that had no effect is given again after this long. */
const steerIntervalMs = 1_000;

/** The row is read this often even if nobody said that it has changed: a nudge may be lost. */
const wishIntervalMs = 2_000;

/** In these phases a host does not do what is wished of it. */
const contradictions: Record<RecorderWish, readonly HostPhase[]> = {
  record: ['STANDBY', 'PAUSED'],
  pause: ['RECORDING', 'RECONNECTING'],
};

export interface Watch {
  jobId: string;
  incarnation: number;
  folder: string;
  maxDurationMs: number;
  /** A host that has been unwell for this long is killed, so that another one goes on: less than a heartbeat timeout. */
  unwellLimitMs: number;
  baseline: Baseline;
  /** Takes the pieces of a split recording; null where nothing is a recording. */
  pieces: Pick<PieceDelivery, 'add'> | null;
  /** Tells the workflow of the first frame; tried again until it succeeds. */
  tellRecording(): Promise<void>;
  /** Tells the workflow that the host waits to record; tried again until it succeeds. */
  tellStandby(): Promise<void>;
  /** How often it was said that something else may be wished now. */
  nudges(): number;
  /** Its media need not grow while it records: people who are muted send nothing. */
  mayBeQuiet: boolean;
  /** How often is looked, milliseconds. */
  lookIntervalMs: number;
  /** What the host shall be doing, and how, by the job's row. */
  readWanted(): Promise<Wanted>;
  /** Tells the host what is wished of it. */
  steer(wish: RecorderWish): void;
  /** Tells the host of it; false when it did not take it. */
  arrange(arrangement: Arrangement): Promise<boolean>;
  /** Called at each look while the recording goes well. */
  beat(): void;
  /** Aborted, with the error to throw, when the watching shall end and the host go on. */
  detached: AbortSignal;
}

/** `lost`: the host is gone without a word. */
export type WatchResult = HostOutcome | { kind: 'lost' };

export async function watchHost(deps: BookDeps, watch: Watch): Promise<WatchResult> {
  const { log } = deps;
  const { folder } = watch;
  const book = createBookkeeper(deps, watch);
  const health = createHealth(watch.mayBeQuiet);
  const ended = new AbortController();
  const told = new Set<string>();
  let steeredMs = Number.NEGATIVE_INFINITY;
  let wishTurn: number | null = null;
  let wished: Wished = { wish: undefined, nudges: -1 };
  let arranged: string | null = null;
  let unread = 0;
  const waiting: ManifestEntry[] = [];

  function tellOnce(what: string, tell: () => Promise<void>): void {
    if (told.has(what)) return;
    told.add(what);
    void untilDone(tell, AbortSignal.any([watch.detached, ended.signal]));
  }

  async function lookForWish(): Promise<void> {
    const nudges = watch.nudges();
    const turn = Math.floor(performance.now() / wishIntervalMs);
    if (nudges === wished.nudges && turn === wishTurn) return;
    wishTurn = turn;
    const { wish, arrangement } = await watch.readWanted();
    if (wish !== wished.wish || nudges !== wished.nudges) wished = { wish, nudges };
    await arrange(arrangement);
  }

  /** The first time always: whoever started the host may have read the row long ago. */
  async function arrange(arrangement: Arrangement): Promise<void> {
    // What a target has got by now is nothing to tell its host.
    const wanted = JSON.stringify({ ...arrangement, targets: arrangement.targets.map(({ id }) => id) });
    if (wanted !== arranged && (await watch.arrange(arrangement))) arranged = wanted;
  }

  /** By what the host does, not by what it was told: a command that was lost, or came too early, is given again. */
  function steer({ phase }: HostStatus): void {
    const { wish } = wished;
    if (!wish || !contradictions[wish].includes(phase) || performance.now() - steeredMs < steerIntervalMs) return;
    steeredMs = performance.now();
    watch.steer(wish);
  }

  try {
    for (;;) {
      // Asked before reading: whatever a host wrote before it died is read below.
      const host = findHost(folder);
      const status = readStatus(folder);
      const manifest = readManifest(folder, unread);
      unread = manifest.nextByte;
      if (manifest.brokenLines > 0)
        log.warn({ jobId: watch.jobId, folder }, 'the manifest of a recording has broken lines; they are left out');
      waiting.push(...manifest.entries);
      if (status) health.see(status);
      const unwellMs = health.unwellMs();
      if (host && unwellMs === 0) watch.beat();
      if (host && unwellMs > watch.unwellLimitMs) {
        log.warn({ jobId: watch.jobId }, 'a recorder host hangs and is killed');
        await killHost(host);
        continue;
      }

      try {
        for (let entry = waiting[0]; entry; entry = waiting[0]) {
          if (entry.type === 'ended') {
            await book.hostEnded(entry.outcome, readStatus(folder));
            return entry.outcome;
          }
          await book.write(entry);
          waiting.shift();
          if (entry.type === 'first-frame') tellOnce('recording', watch.tellRecording);
        }
        if (host) await lookForWish();
        if (status && host) steer(status);
        if (status) await book.follow(status, wished);
        if (status?.phase === 'STANDBY') tellOnce('standby', watch.tellStandby);
      } catch (error) {
        // The recording goes on without us; what could not be written is written when the database is back.
        log.warn({ jobId: watch.jobId, err: error }, 'the state of a recording could not be written, trying again');
      }

      if (!host && waiting.length === 0) {
        await book.hostDied(status?.stats);
        return { kind: 'lost' };
      }
      // All jobs of this worker in the same moment: what they ask of the database is one question.
      const untilNextMs = watch.lookIntervalMs - (performance.now() % watch.lookIntervalMs);
      await sleep(untilNextMs, undefined, { signal: watch.detached }).catch(() => {});
      watch.detached.throwIfAborted();
    }
  } finally {
    ended.abort();
  }
}

/**
 * Whether a host is worth a sign of life to Temporal: it reports, and while it records its media grows. By our own
 * monotonic clock, so that neither a clock that is set nor a machine that slept makes a good host look dead.
 */
function createHealth(mayBeQuiet: boolean) {
  let reportedAt = 0;
  let bytes = -1;
  let heardMs = performance.now();
  let grewMs = performance.now();
  return {
    see(latest: HostStatus): void {
      if (latest.at !== reportedAt) heardMs = performance.now();
      if (latest.stats.bytes !== bytes || latest.phase !== 'RECORDING' || mayBeQuiet) grewMs = performance.now();
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
