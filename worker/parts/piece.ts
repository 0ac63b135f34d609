/** Makes a file of one piece of a part. */
import type { OutputFormat } from '../../src/recordings/config.js';
import { fallbackFormat, fits, formats } from '../../src/recordings/formats.js';
import type { Codecs } from './containers.js';
import { isRefused, mux } from './mux.js';
import type { PartFile, Track } from './part-file.js';
import { type Stretch, streamHead, writeStretch } from './stretch.js';

export interface PieceOptions {
  media: PartFile;
  tracks: readonly Track[];
  codecs: Codecs;
  stretch: Stretch;
  /** It is the part's first. */
  isFirst: boolean;
  format: OutputFormat;
  /** Without an ending. */
  base: string;
  ffmpeg: string;
  signal?: AbortSignal;
}

/** The format that pieces of a part get: another than was asked for where that does not hold what was recorded. */
export const pieceFormat = (format: OutputFormat, { video, audio }: Codecs): OutputFormat =>
  fits(format, video, audio) ? format : fallbackFormat;

/** Answers the file, which is there whole or not at all as long as nobody is killed. Throws ToolError, or the signal's reason. */
export async function makePiece(options: PieceOptions): Promise<{ file: string; format: OutputFormat }> {
  const format = pieceFormat(options.format, options.codecs);
  try {
    return { file: await write(options, format), format };
  } catch (error) {
    if (format === fallbackFormat || !isRefused(error)) throw error;
    return { file: await write(options, fallbackFormat), format: fallbackFormat };
  }
}

async function write(options: PieceOptions, format: OutputFormat): Promise<string> {
  const { media, tracks, codecs, stretch, isFirst, base, ffmpeg, signal } = options;
  async function* stream() {
    yield streamHead(tracks.map((track) => ({ track, setup: track.setup })));
    yield* writeStretch(media, stretch, { atMs: 0, tracks, isFirst, onPictures: () => {} });
  }
  const output = `${base}.${formats[format].ending}`;
  const bytes = Math.max(0, stretch.toByte - stretch.fromByte);
  await mux({ ffmpeg, source: { stream: stream() }, format, codecs, output, bytes, signal });
  return output;
}
