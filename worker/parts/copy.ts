/** Copies the streams of one input into an mp4 file without decoding them. */
import { runTool } from '../ffmpeg/run.js';

export interface CopyOptions {
  ffmpeg: string;
  /** ffmpeg's options for the input, ending with `-i <input>`. */
  input: readonly string[];
  /** Copies only so many, in stored order; null: all of them. */
  pictures: number | null;
  output: string;
  /** Puts the index in front, so that players can start before they have the whole file; moves all bytes once more. */
  indexInFront: boolean;
  /** About what will be copied: bounds the time. */
  bytes: number;
  signal?: AbortSignal;
  /** Media milliseconds written so far; called at least once a second. */
  onPosition: (positionMs: number) => void;
}

// Measured: 1.3 s for 1 GB from memory. A slow disk reads, writes, and moves everything once more for the index in front.
const startLimitMs = 60_000;
const slowestBytesPerMs = 5_000;

/** Writes `output` anew. Throws ToolError. */
export async function copyStreams(options: CopyOptions): Promise<void> {
  const { ffmpeg, input, pictures, output, indexInFront, bytes, signal, onPosition } = options;
  // By default the sound between the key frame's decoding and its showing comes along, and would be heard twice at a seam.
  const streams = ['-map', '0:v:0', '-map', '0:a:0?', '-c', 'copy', '-copypriorss:a', '0'];
  if (pictures !== null) streams.push('-frames:v', String(pictures));
  // Nothing of the recorder's own headers, and the same bytes each time.
  const format = [
    '-map_metadata',
    '-1',
    '-map_chapters',
    '-1',
    ...(indexInFront ? ['-movflags', '+faststart'] : []),
    '-f',
    'mp4',
  ];
  let positionMs = 0;
  const report = ['-nostdin', '-v', 'error', '-progress', 'pipe:1', '-stats_period', '0.5', '-y'];
  await runTool(ffmpeg, [...report, ...input, ...streams, ...format, `file:${output}`], {
    timeLimitMs: startLimitMs + bytes / slowestBytesPerMs,
    signal,
    onBeat: () => onPosition(positionMs),
    onLine: (line) => {
      const position = /^out_time_us=(\d+)$/.exec(line);
      if (!position) return;
      positionMs = Number(position[1]) / 1000;
      onPosition(positionMs);
    },
  });
}
