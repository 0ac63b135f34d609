/** Makes a file of one piece of a part. */
import { dirname } from 'node:path';
import type { OutputFormat } from '../../src/recordings/config.js';
import { fallbackFormat, fits, formats } from '../../src/recordings/formats.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { shownFrom } from './changed-pictures.js';
import type { Codecs } from './containers.js';
import { createEvenSound } from './even-sound.js';
import { codecsOf, type Facts } from './measure.js';
import { isRefused, mux } from './mux.js';
import type { PartFile, Track } from './part-file.js';
import { type Stretch, streamHead, writeStretch } from './stretch.js';

export interface PieceOptions {
  media: PartFile;
  /** As the part's head has them. */
  tracks: readonly Track[];
  /** Of the tracks. */
  facts: Facts;
  /** With pictures of one kind. */
  stretch: Stretch;
  /** It is the part's first. */
  isFirst: boolean;
  format: OutputFormat;
  /** Without an ending. */
  base: string;
  tools: MediaTools;
  signal?: AbortSignal;
}

/** The format that pieces of a part get: another than was asked for where that does not hold what was recorded. */
export const pieceFormat = (format: OutputFormat, { video, audio }: Codecs): OutputFormat =>
  fits(format, video, audio) ? format : fallbackFormat;

/** Answers the file, which is there whole or not at all as long as nobody is killed. Throws ToolError, or the signal's reason. */
export async function makePiece(given: PieceOptions): Promise<{ file: string; format: OutputFormat }> {
  const { tools, signal } = given;
  const making = { workFolder: dirname(given.base), tools, signal };
  const options = { ...given, ...(await shownFrom(given.media, given, given.stretch.fromByte, making)) };
  const format = pieceFormat(options.format, codecsOf(options.facts, options.tracks));
  try {
    return { file: await write(options, format), format };
  } catch (error) {
    if (format === fallbackFormat || !isRefused(error)) throw error;
    return { file: await write(options, fallbackFormat), format: fallbackFormat };
  }
}

async function write(options: PieceOptions, format: OutputFormat): Promise<string> {
  const { media, tracks, facts, stretch, isFirst, base, tools, signal } = options;
  const even = await createEvenSound(format, { facts, tracks }, { workFolder: dirname(base), tools, signal });
  async function* stream() {
    yield streamHead(tracks.map((track) => ({ track, setup: track.setup })));
    yield* even.until(even.leadMs);
    const writing = { atMs: even.leadMs, tracks, isFirst, onPictures: () => {}, onSounds: even.heard };
    yield* writeStretch(media, stretch, writing);
  }
  const output = `${base}.${formats[format].ending}`;
  const bytes = Math.max(0, stretch.toByte - stretch.fromByte);
  const what = { format, codecs: codecsOf(facts, tracks), output, bytes, durationMs: stretch.toMs - stretch.fromMs };
  await mux({ ffmpeg: tools.ffmpeg, source: { stream: stream() }, ...what, signal });
  return output;
}
