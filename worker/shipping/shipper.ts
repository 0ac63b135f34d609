/** Ships what a recorder host writes while it writes it, so that a lost machine costs about a second of media. */
import { readdirSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostWarning, hostFiles, partFile, trackFile } from '../../src/jobs/capture.js';
import { warnings } from '../../src/jobs/warnings.js';
import type { PartStore } from '../../src/storage/parts.js';
import { StorageFullError, StorageUnavailableError } from '../../src/storage/storage.js';
import { readManifest } from '../parts/manifest.js';
import { fileKey, isGrowing, rangeKey } from './keys.js';
import { createLag } from './lag.js';
import { createShippedPart, type ShippedPart } from './shipped-part.js';

const intervalMs = 1_000;
/** After a failure the next round comes after 1 s, then 2, 4, up to this. */
const longestPauseMs = 15_000;
/** Finalizing waits for it, and needs only what is on this machine. */
const closeLimitMs = 10_000;
/** The console log of a talkative page changes all the time, and is up to 1 MB. */
const diagnosticsIntervalMs = 10_000;
/** At 4 Mbit/s two minutes, 128 objects: an hour makes 28 objects, not 3600. */
const mergeBytes = 64 * 1_048_576;
/** A round of fifty tracks, one after the other, would take longer than it is to last. */
const filesAtOnce = 8;
/** A merge that failed is tried again after this. */
const mergePauseMs = 60_000;

export interface ShipperOptions {
  store: PartStore;
  /** The incarnation's folder. */
  folder: string;
  jobId: string;
  incarnation: number;
  note: (text: string) => void;
}

export interface Shipper {
  /** UPLOAD_LAGGING when something has been waiting for more than 10 s to be shipped, until all is in time for half a minute. */
  warnings(): HostWarning[];
  /**
   * To be called when nobody writes into the folder any more: ships the rest, for up to 10 s. What is not shipped then is on
   * this machine only.
   */
  close(): Promise<void>;
}

/** Ships the folder's parts and track files, manifest and diagnostics every second, beginning now. Never throws; it tries again for as long as it lives. */
export function startShipper({ store, folder, jobId, incarnation, note }: ShipperOptions): Shipper {
  const requests = new AbortController();
  const merging = new AbortController();
  const waiting = new AbortController();
  const parts = new Map<string, ShippedPart>();
  const ended = new Set<string>();
  const smallFiles = createFileShipment();
  let failures = 0;
  const lag = createLag();
  let merge: Promise<void> | null = null;
  let mergeNotBefore = 0;
  let readManifestTo = 0;

  async function round({ last }: { last: boolean }): Promise<void> {
    const startedAt = performance.now();
    const { signal } = requests;
    // Before the parts: what it says of their clocks is needed even if little of them arrives.
    await smallFiles.ship(hostFiles.manifest, 0, signal);
    noteEnds();
    const broken: unknown[] = [];
    const files = readdirSync(folder).filter(isGrowing).sort();
    for (let from = 0; from < files.length; from += filesAtOnce) {
      const ends = await Promise.allSettled(
        files.slice(from, from + filesAtOnce).map((file) => shipOne(file, last, signal)),
      );
      const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
      // Something is wrong with one file: the others are shipped all the same.
      const isGeneral = (error: unknown) =>
        error instanceof StorageUnavailableError || error instanceof StorageFullError || signal.aborted;
      if (failed.some(isGeneral)) throw failed.find(isGeneral);
      broken.push(...failed);
    }
    for (const name of [hostFiles.screenshot, hostFiles.console])
      await smallFiles.ship(name, last ? 0 : diagnosticsIntervalMs, signal);
    if (broken.length > 0) throw broken[0];
    lag.shipped(startedAt);
    if (!last) mergeInTheBackground();
  }

  async function shipOne(file: string, last: boolean, signal: AbortSignal): Promise<void> {
    const part = parts.get(file) ?? begin(file);
    if (part.finished()) return;
    await (last || ended.has(file) ? part.finish(signal) : part.ship(signal));
  }

  function begin(file: string): ShippedPart {
    const keyOf = (from: number, to: number) => rangeKey(jobId, incarnation, file, from, to);
    const part = createShippedPart({ store, file: join(folder, file), keyOf, mergeBytes });
    parts.set(file, part);
    return part;
  }

  function noteEnds(): void {
    const { entries, nextByte, brokenLines } = readManifest(folder, readManifestTo);
    readManifestTo = nextByte;
    if (brokenLines > 0) note(`the manifest has ${brokenLines} broken lines; they are left out`);
    for (const entry of entries) {
      if (entry.type === 'part-ended') ended.add(partFile(entry.part));
      if (entry.type === 'track-ended') ended.add(trackFile(entry.track));
    }
  }

  /** Beside the rounds, which it must not hold up: a large object may take a minute. */
  function mergeInTheBackground(): void {
    if (merge || performance.now() < mergeNotBefore) return;
    const part = [...parts.values()].find((each) => each.isToBeMerged());
    if (!part) return;
    merge = part
      .merge(merging.signal)
      .catch((error: unknown) => {
        mergeNotBefore = performance.now() + mergePauseMs;
        if (!merging.signal.aborted) note(`shipped objects not merged: ${messageOf(error)}`);
      })
      .finally(() => {
        merge = null;
      });
  }

  /** Small files as a whole, when they changed. */
  function createFileShipment() {
    const shipped = new Map<string, { version: string; at: number }>();
    return {
      async ship(name: string, pauseMs: number, signal: AbortSignal): Promise<void> {
        const before = shipped.get(name);
        if (before && performance.now() - before.at < pauseMs) return;
        const found = await stat(join(folder, name)).catch(() => null);
        if (!found || found.size === 0) return;
        const version = `${found.size} ${found.mtimeMs}`;
        if (before?.version === version) return;
        await store.put(fileKey(jobId, incarnation, name), await readFile(join(folder, name)), signal);
        shipped.set(name, { version, at: performance.now() });
      },
    };
  }

  async function tryRound(options: { last: boolean }): Promise<boolean> {
    try {
      await round(options);
      if (failures > 0) note('shipping goes on');
      failures = 0;
      return true;
    } catch (error) {
      // Once for each time that it begins to fail: an hour without the storage must not fill the log.
      if (failures === 0) note(`not shipped, trying again: ${messageOf(error)}`);
      failures += 1;
      return false;
    }
  }

  async function rounds(): Promise<void> {
    while (!waiting.signal.aborted) {
      const startedAt = performance.now();
      const went = await tryRound({ last: false });
      const dueMs = went
        ? startedAt + intervalMs - performance.now()
        : Math.min(longestPauseMs, intervalMs * 2 ** (failures - 1));
      if (dueMs > 0) await sleep(dueMs, undefined, { signal: waiting.signal }).catch(() => {});
    }
  }
  const running = rounds();

  return {
    warnings() {
      const since = lag.since();
      return since === null ? [] : [{ code: 'UPLOAD_LAGGING', since, message: warnings.UPLOAD_LAGGING }];
    },

    async close() {
      const limit = setTimeout(() => requests.abort(new Error('The time to ship the rest is over.')), closeLimitMs);
      waiting.abort();
      merging.abort();
      await running;
      await merge;
      while (!(await tryRound({ last: true })) && !requests.signal.aborted)
        await sleep(intervalMs, undefined, { signal: requests.signal }).catch(() => {});
      clearTimeout(limit);
      if (requests.signal.aborted) note('the rest is not shipped; it is on this machine only');
    },
  };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
