/** Cuts a split recording while it goes on: each piece of a part becomes a file as soon as the next one has begun. */
import { mkdirSync } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ManifestEntry, type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import type { RecordingOutput } from '../../src/recordings/config.js';
import { formats } from '../../src/recordings/formats.js';
import { probeHead } from '../ffmpeg/probe.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { type Cut, type CutFinder, createCutFinder, cutsOf, knownInOrder } from '../parts/cuts.js';
import { readManifest } from '../parts/manifest.js';
import { beforeHole, beginningOf, isLeftOut, kindsOf, measurePart } from '../parts/measure.js';
import { openPartFile, type PartFile } from '../parts/part-file.js';
import { makePiece, type PieceOptions } from '../parts/piece.js';
import { interleavingMs, type Stretch } from '../parts/stretch.js';
import type { OpenPart, PartLine } from './part-line.js';

const lookIntervalMs = 500;
const retryMs = 2_000;
/** A part of which no piece can be made is left to whoever makes the job's files. */
const attempts = 3;

export interface PiecesOptions {
  /** The incarnation's folder. */
  folder: string;
  parts: PartLine;
  tools: MediaTools;
  /** What is made of a part, as it was when the part began; one that is not split is passed over. */
  outputOf(part: number): RecordingOutput;
  /** Wall clock (epoch ms) of the part's media time zero; null while it is not known. */
  partZeroAt(part: number): number | null;
  append(entry: PieceEntry): void;
  signal: AbortSignal;
  note: (text: string) => void;
}

/**
 * Resolves when no part follows any more and all is cut, or the signal is aborted. Never throws. Begun again at any point it
 * goes on where the manifest says that it was.
 */
export async function cutPieces(options: PiecesOptions): Promise<void> {
  const { parts, signal, note } = options;
  let failed = 0;
  let done = 0;
  while (!signal.aborted) {
    let part: OpenPart | null = null;
    try {
      part = await parts.next(done, signal);
      if (!part) return;
      if (options.outputOf(part.number).splitMs !== null) await cutPart(options, part);
      failed = 0;
    } catch (error) {
      if (signal.aborted) return;
      note(`pieces: ${error instanceof Error ? error.message : error}`);
      failed += 1;
      await sleep(retryMs, undefined, { signal }).catch(() => {});
    }
    if (part && failed % attempts === 0) done = part.number;
  }
}

async function cutPart(options: PiecesOptions, part: OpenPart): Promise<void> {
  const media = await opened(part, options.signal);
  if (!media) return;
  const shelf = createShelf(options, part, media);
  try {
    let finder = null as CutFinder | null;
    for (;;) {
      options.signal.throwIfAborted();
      // Asked before looking: a part that is closed by then is read to its end.
      if (part.isClosed()) break;
      await media.look(false);
      // What stands behind a jump of its times may be of no time at all: the part's end tells.
      const clusters = beforeHole(media.clusters);
      finder ??= await shelf.finderFor(clusters);
      if (finder) {
        await finder.look(clusters);
        await shelf.putWhole(finder, clusters.at(-1)?.timeMs ?? 0);
      }
      await sleep(lookIntervalMs, undefined, { signal: options.signal }).catch(() => {});
    }
    await shelf.putRest();
  } finally {
    await media.close();
  }
}

/** Null when the part was closed without a file. */
async function opened(part: OpenPart, signal: AbortSignal): Promise<PartFile | null> {
  for (;;) {
    signal.throwIfAborted();
    const isClosed = part.isClosed();
    try {
      return await openPartFile(part.file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (isClosed) return null;
    }
    await sleep(lookIntervalMs, undefined, { signal }).catch(() => {});
  }
}

/** What pieces are made of. */
type Source = Pick<PieceOptions, 'media' | 'tracks' | 'facts'>;

/** Where the pieces of one part are put, each once. */
function createShelf(options: PiecesOptions, { number, file }: OpenPart, media: PartFile) {
  const { folder, tools, signal } = options;
  const output = options.outputOf(number);
  const splitMs = output.splitMs as number;
  const kinds = kindsOf(output);
  const isOfPart = (entry: ManifestEntry): entry is PieceEntry => entry.type === 'piece' && entry.part === number;
  const known = knownInOrder(readManifest(folder).entries.filter(isOfPart));
  const wanted = () => media.tracks.filter(({ kind }) => kinds.includes(kind));
  let hasPictures = true;

  /** Of the part as it is by now. */
  async function sourceNow(): Promise<Source> {
    const tracks = wanted().filter(({ kind }) => hasPictures || kind === 'audio');
    const facts = await probeHead(file, { ffprobe: tools.ffprobe, signal });
    return { media, tracks, facts };
  }

  async function put(from: Source, stretch: Stretch, piece: number): Promise<void> {
    const zeroAt = options.partZeroAt(number);
    if (piece < known.length || zeroAt === null) return;
    mkdirSync(join(folder, piecesFolder), { recursive: true });
    const name = `p${number}-${String(piece).padStart(5, '0')}`;
    const draft = join(folder, piecesFolder, `${name}.draft`);
    const made = await makePiece({
      ...{
        media: from.media,
        tracks: from.tracks,
        facts: from.facts,
        stretch,
        isFirst: piece === 0,
        format: output.format,
      },
      ...{ base: draft, tools, signal },
    });
    await flush(made.file);
    const whole = `${name}.${formats[made.format].ending}`;
    await rename(made.file, join(folder, piecesFolder, whole));
    const [fromMs, toMs] = [Math.round(stretch.fromMs), Math.round(stretch.toMs)];
    const { size } = await stat(join(folder, piecesFolder, whole));
    const entry: PieceEntry = {
      ...{ type: 'piece', part: number, piece, file: whole, at: Math.round(zeroAt + stretch.fromMs) },
      ...{ fromMs, durationMs: toMs - fromMs, bytes: size },
    };
    options.append(entry);
    known.push(entry);
  }

  return {
    /** Null while nothing that can be shown was found. */
    async finderFor(clusters: PartFile['clusters']): Promise<CutFinder | null> {
      const start = await beginningOf(media, clusters, wanted());
      if (!start) return null;
      hasPictures = start.hasPictures;
      return createCutFinder({ media, hasPictures, splitMs, known, start });
    },
    /** Those that end so long before a media time that nothing of them is still to come. */
    async putWhole({ cuts }: CutFinder, reachedMs: number): Promise<void> {
      for (let piece = known.length; piece < cuts.length - 1; piece++) {
        const [cut, next] = cuts.slice(piece, piece + 2) as [Cut, Cut];
        if (next.atMs + interleavingMs >= reachedMs) return;
        const stretch = { fromMs: cut.atMs, fromByte: cut.atByte, toMs: next.atMs, toByte: next.atByte };
        await put(await sourceNow(), stretch, piece);
        // Nobody knows yet when it was.
        if (known.length <= piece) return;
      }
    },
    /** Of a part that nobody writes any more, as whoever makes the job's files will see it. */
    async putRest(): Promise<void> {
      const end = readManifest(folder).entries.find((entry) => entry.type === 'part-ended' && entry.part === number);
      const endCause = end?.type === 'part-ended' ? end.cause : null;
      const part = { file, incarnation: 1, zeroAt: options.partZeroAt(number), endCause };
      const found = await measurePart(part, { ffprobe: tools.ffprobe, kinds, allowSoundAlone: true, signal });
      if (isLeftOut(found)) return;
      try {
        const pieces = await cutsOf(found, found.whole, { splitMs, known });
        for (const [piece, stretch] of pieces.entries()) await put(found, stretch, piece);
      } finally {
        await found.media.close();
      }
    },
  };
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
