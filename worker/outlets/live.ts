/** Makes what is recorded playable while it goes on: pieces of two seconds, and the list of them. */
import { mkdirSync } from 'node:fs';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type LiveList,
  type LivePiece,
  liveFolder,
  liveListName,
  livePieceSeconds,
} from '../../src/rooms/live-playlist.js';
import type { PartStore } from '../../src/storage/parts.js';
import { abortedAfter } from '../../src/time-signal.js';
import { writeJson } from '../host/atomic-file.js';
import { fileKey } from '../shipping/keys.js';
import type { OpenPart, PartLine } from './part-line.js';
import { remuxPart } from './remux.js';

const retryMs = 2_000;
/** What cannot be cut so often in a row holds media that pieces cannot: it is recorded all the same. */
const mostFailures = 20;
/** A piece that the storage did not take by then is left out: what comes next is more wanted. */
const storeLimitMs = 20_000;
/** The same of one whose turn comes this late, so that a storage that is away for long does not fill the disk. */
const lateMs = 60_000;
/** So many pieces more than are listed are kept, for players that read the list a while ago. */
const spared = 5;

export interface LiveOptions {
  /** The incarnation's folder. */
  folder: string;
  jobId: string;
  incarnation: number;
  /** Null: pieces are on this machine, and nowhere else. */
  store: PartStore | null;
  parts: PartLine;
  /** `first`: everything is cut, from the first part on. `newest`: from now on. */
  from: 'first' | 'newest';
  /** So many pieces are listed at most. */
  kept: number;
  /** Counts the cuts of this incarnation, so that none writes over what another has listed. */
  nextCut: () => number;
  ffmpeg: string;
  signal: AbortSignal;
  note: (text: string) => void;
}

/** Resolves when no part follows any more, or the signal is aborted. Never throws. */
export async function makeLive(options: LiveOptions): Promise<void> {
  const { parts, signal, note } = options;
  const shelf = createShelf(options);
  let failures = 0;
  let part: OpenPart | null = null;
  let from: 'start' | 'newest' = 'start';
  while (!signal.aborted && failures < mostFailures) {
    try {
      if (part === null && options.from === 'newest') {
        part = await parts.nextOpen(signal);
        from = 'newest';
      } else if (from === 'start') part = await parts.next(part?.number ?? 0, signal);
      if (!part) return;
      await cut(options, { part, from, cuts: options.nextCut() }, (piece) => shelf.put(piece));
      from = 'start';
      failures = 0;
    } catch (error) {
      if (signal.aborted) break;
      failures += 1;
      note(`live pieces: ${error instanceof Error ? error.message : error}`);
      await sleep(retryMs, undefined, { signal }).catch(() => {});
      from = 'newest';
    }
  }
}

/** `put` is called with each piece when it is complete, one after the other. */
async function cut(
  { folder, ffmpeg, signal }: LiveOptions,
  { part, from, cuts }: { part: OpenPart; from: 'start' | 'newest'; cuts: number },
  put: (piece: LivePiece) => Promise<void>,
): Promise<void> {
  const pieces = join(folder, liveFolder);
  mkdirSync(pieces, { recursive: true });
  const output = [
    ...['-map', '0', '-c', 'copy', '-f', 'segment', '-segment_time', `${livePieceSeconds}`],
    ...['-segment_format', 'mpegts', '-segment_list', 'pipe:1', '-segment_list_type', 'csv'],
    // A cut that was begun again in the same part must not write over what is listed.
    join(pieces, `p${part.number}-${cuts}-%05d.ts`),
  ];
  let begins = true;
  await remuxPart({ ffmpeg, part, from, output, signal }, async (stdout) => {
    for await (const line of createInterface({ input: stdout })) {
      const [name, start, end] = line.split(',');
      const seconds = Number(end) - Number(start);
      if (!name || !(seconds > 0)) continue;
      await put({ name, seconds: Math.round(seconds * 1_000) / 1_000, at: Date.now(), begins });
      begins = false;
    }
  });
}

/** Keeps the newest pieces, and the list of them, where players get them. */
function createShelf({ folder, jobId, incarnation, store, kept, signal, note }: LiveOptions) {
  const list: LiveList = { gone: 0, pieces: [] };
  const pathOf = (name: string) => join(folder, liveFolder, name);
  const keyOf = (name: string) => fileKey(jobId, incarnation, `${liveFolder}/${name}`);
  const old: string[] = [];
  let missed = false;

  async function send(name: string, bytes: Uint8Array): Promise<void> {
    await store?.put(keyOf(name), bytes, abortedAfter(storeLimitMs, signal));
  }

  async function forget(): Promise<void> {
    const surplus = old.splice(0, Math.max(0, old.length - spared));
    await Promise.all(surplus.map((name) => rm(pathOf(name), { force: true })));
    if (store && surplus.length > 0) await store.remove(surplus.map(keyOf), signal);
  }

  return {
    async put(piece: LivePiece): Promise<void> {
      try {
        const { mtimeMs } = await stat(pathOf(piece.name));
        if (Date.now() - mtimeMs > lateMs) throw new Error('the storage is too far behind');
        await send(piece.name, await readFile(pathOf(piece.name)));
      } catch (error) {
        if (signal.aborted) return;
        note(`a live piece was left out: ${error instanceof Error ? error.message : error}`);
        missed = true;
        await rm(pathOf(piece.name), { force: true });
        return;
      }
      list.pieces.push({ ...piece, begins: piece.begins || missed });
      missed = false;
      for (const each of list.pieces.splice(0, list.pieces.length - kept)) {
        list.gone += 1;
        old.push(each.name);
      }
      writeJson(pathOf(liveListName), list, { durable: false });
      await send(liveListName, Buffer.from(JSON.stringify(list))).catch((error) => note(`live list: ${error}`));
      await forget().catch((error) => note(`old live pieces: ${error}`));
    },
  };
}
