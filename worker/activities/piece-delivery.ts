/** Delivers the pieces of a split recording as they are cut: each once, in order, and without anybody waiting for the storage. */
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import type { Captures } from '../../src/services/captures.js';
import { pieceName } from '../../src/services/delivered-files.js';
import type { Storage } from '../../src/storage/storage.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { cutPiece } from '../finalize/cut-piece.js';
import { recordingName } from '../finalize/names.js';
import { finishPiece } from '../finalize/recording-files.js';
import { noteKeys } from '../finalize/stored-keys.js';

/** A storage or a database that is away is asked again after this, and then after twice as long each time. */
const firstRetryMs = 1_000;
const longestRetryMs = 30_000;

export interface PieceDelivery {
  /** Takes what a manifest says; again what it said before, too. Returns at once. */
  add(entry: PieceEntry): void;
  /** Waits so long for what was cut, at most. What is not delivered by then is by whoever makes the job's files. */
  close(limitMs: number): Promise<void>;
}

export interface PieceDeliveryOptions {
  jobId: string;
  incarnation: number;
  /** The incarnation's folder, in the job's own. */
  folder: string;
  /** The recording's; becomes part of the files' names. */
  name: string;
  captures: Pick<Captures, 'deliveredPieces' | 'pieceDelivered'>;
  storage: Pick<Storage, 'put' | 'remove'>;
  tools: MediaTools;
  log: Logger;
}

export function createPieceDelivery(options: PieceDeliveryOptions): PieceDelivery {
  const { jobId, incarnation, folder, captures, log } = options;
  const over = new AbortController();
  const delivered = captures.deliveredPieces(jobId);
  delivered.catch(() => {});
  let before: Promise<unknown> = Promise.resolve();

  const nameOf = ({ part, piece }: PieceEntry) => pieceName({ incarnation, part, piece });

  async function deliver(entry: PieceEntry): Promise<void> {
    const names = await delivered.catch(() => captures.deliveredPieces(jobId));
    const cut = await cutPiece(folder, entry);
    if (!cut) return;
    if (!names.has(nameOf(entry))) await store(entry, cut);
    // The parts are the truth; a second copy of them would only fill the disk.
    await rm(cut.file, { force: true });
  }

  async function store(entry: PieceEntry, cut: NonNullable<Awaited<ReturnType<typeof cutPiece>>>): Promise<void> {
    const work = { jobId, tools: options.tools, signal: over.signal };
    const base = recordingName(options.name, new Date(entry.at));
    const made = await finishPiece(work, { ...cut, name: nameOf(entry) }, base, join(folder, piecesFolder));
    await noteKeys(dirname(folder), { version: 1, keys: made.map(({ file }) => file.storageKey) });
    for (const { path, file } of made) {
      over.signal.throwIfAborted();
      await options.storage.put(file.storageKey, path, file.mediaType);
    }
    const files = made.map(({ file }) => file);
    const kept = await captures.pieceDelivered(jobId, files);
    // Somebody else was first.
    if (kept !== files[0]?.storageKey) for (const { storageKey } of files) await options.storage.remove(storageKey);
    for (const { path } of made) await rm(path, { force: true });
  }

  async function deliverSurely(entry: PieceEntry): Promise<void> {
    for (let pauseMs = firstRetryMs; !over.signal.aborted; pauseMs = Math.min(2 * pauseMs, longestRetryMs)) {
      try {
        return await deliver(entry);
      } catch (error) {
        if (over.signal.aborted) return;
        log.warn({ jobId, incarnation, file: entry.file, err: error }, 'a piece could not be delivered, trying again');
        await sleep(pauseMs, undefined, { signal: over.signal }).catch(() => {});
      }
    }
  }

  return {
    add(entry) {
      before = before.then(() => deliverSurely(entry));
    },
    async close(limitMs) {
      await Promise.race([before, sleep(limitMs, undefined, { ref: false })]);
      over.abort(new Error('The recorder is not watched any more.'));
    },
  };
}
