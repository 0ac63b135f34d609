/** Puts a Matroska stream that we write into a file of any format, without decoding it. */
import type { OutputFormat } from '../../src/recordings/config.js';
import { runTool, ToolError } from '../ffmpeg/run.js';
import { type Codecs, containerOptions } from './containers.js';

export interface MuxOptions {
  ffmpeg: string;
  /** A head, and clusters; or all of a part from one media time on. */
  source: { stream: AsyncIterable<Uint8Array> } | { part: string; fromMs: number; durationMs: number };
  format: OutputFormat;
  codecs: Codecs;
  output: string;
  /** About what will be written: bounds the time. Hours of black are few bytes, and take their time too. */
  bytes: number;
  durationMs: number;
  signal?: AbortSignal;
  /** Media milliseconds written so far; called at least once a second. */
  onPosition?: (ms: number) => void;
}

// Measured: 1.3 s for 1 GB from memory. A slow disk reads, writes, and moves everything once more for the index in front.
const startLimitMs = 60_000;
const slowestBytesPerMs = 5_000;
// Black pictures were written 1,200 times as fast as they are shown, on a machine with a load of nine.
const slowestSpeed = 200;
// Enough for the decoder's delay to be found out, which the times of pictures are made of.
const probing = ['-probesize', '5000000', '-analyzeduration', '5000000'];

/** Writes `output` anew, and answers how many pictures were written. Throws ToolError, or what the stream throws. */
export async function mux(options: MuxOptions): Promise<{ pictures: number }> {
  const { ffmpeg, source, format, codecs, output, bytes, durationMs, signal, onPosition } = options;
  let pictures = 0;
  let positionMs = 0;
  const report = ['-nostdin', '-v', 'error', '-progress', 'pipe:1', '-stats_period', '0.5', '-y'];
  // The same bytes each time. By default the sound between the key frame's decoding and its showing comes along.
  const copy = ['-map', '0:v:0?', '-map', '0:a:0?', '-c', 'copy', '-copypriorss:a', '0', '-map_metadata', '-1'];
  const args = [...report, ...inputOf(source), ...copy, '-map_chapters', '-1', '-fflags', '+bitexact'];
  await runTool(ffmpeg, [...args, ...containerOptions(format, codecs, output)], {
    timeLimitMs: startLimitMs + bytes / slowestBytesPerMs + durationMs / slowestSpeed,
    ...('stream' in source ? { input: source.stream } : {}),
    signal,
    onBeat: () => onPosition?.(positionMs),
    onLine: (line) => {
      const [, name, value] = /^(frame|out_time_us)=(\d+)$/.exec(line) ?? [];
      if (name === 'frame') pictures = Number(value);
      if (name === 'out_time_us') positionMs = Number(value) / 1_000;
      if (name) onPosition?.(positionMs);
    },
  });
  return { pictures };
}

function inputOf(source: MuxOptions['source']): string[] {
  if ('stream' in source) return ['-f', 'matroska', ...probing, '-i', 'pipe:0'];
  const seconds = (ms: number) => (ms / 1_000).toFixed(6);
  // Read from its beginning: in a part that was finished, and of which less than two key frames arrived here, ffmpeg
  // looks for its index, finds no place to go to, and copies nothing.
  const readThrough = ['-seekable', '0'];
  // By the part's own times, rather than from where its first track begins: that would leave out the sound up to as much later.
  const from = ['-seek_timestamp', '1', '-ss', seconds(source.fromMs)];
  return [...readThrough, ...from, '-t', seconds(source.durationMs), '-i', `file:${source.part}`];
}

/** Whether it was the format that did not take it, rather than that something else was amiss. */
export const isRefused = (error: unknown): boolean => error instanceof ToolError && error.kind === 'failed';
