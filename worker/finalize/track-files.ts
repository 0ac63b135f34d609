/** Makes a file that players take of what a recorder wrote of one participant, without encoding it anew. */
import { stat } from 'node:fs/promises';
import { packetTimes } from '../ffmpeg/probe.js';
import { type MediaTools, runTool, ToolError } from '../ffmpeg/run.js';
import type { RecordedTrack } from './recorded.js';

export interface TrackMedia {
  file: string;
  bytes: number;
  /** Wall clock (epoch ms) of the file's time zero, which is its first picture or sound. */
  startedAt: number;
  durationMs: number;
}

// A header without a cluster: nothing was written yet when its writer ended.
const emptyBytes = 2_048;
const startLimitMs = 60_000;
const slowestBytesPerMs = 5_000;
const webmCodecs = ['opus', 'vp8', 'vp9', 'av1'];

/** The ending of a file that may hold these codecs as they are. */
export const endingFor = (codecs: readonly string[]): 'webm' | 'mkv' =>
  codecs.length > 0 && codecs.every((codec) => webmCodecs.includes(codec)) ? 'webm' : 'mkv';

/** Writes `output`. Answers why there is none: nothing was recorded, or nobody can read it. Throws ToolError, or the signal's reason. */
export async function makeTrackFile(
  track: RecordedTrack,
  output: string,
  { tools, signal, onBeat }: { tools: MediaTools; signal?: AbortSignal; onBeat: () => void },
): Promise<TrackMedia | { leftOut: 'empty' | 'unreadable'; problem: string }> {
  if (track.bytes < emptyBytes)
    return { leftOut: 'empty', problem: `It has ${track.bytes} bytes: no media was written.` };
  const probing = { ffprobe: tools.ffprobe, signal, onBeat };
  const format = output.endsWith('.webm') ? 'webm' : 'matroska';
  try {
    const before = spanOf(await packetTimes(track.file, probing));
    if (!before) return { leftOut: 'empty', problem: 'There is no picture and no sound in it.' };
    const input = ['-nostdin', '-v', 'error', '-y', '-i', `file:${track.file}`];
    const copy = [
      '-map',
      '0',
      '-c',
      'copy',
      '-map_metadata',
      '-1',
      '-fflags',
      '+bitexact',
      '-f',
      format,
      `file:${output}`,
    ];
    await runTool(tools.ffmpeg, [...input, ...copy], {
      timeLimitMs: startLimitMs + track.bytes / slowestBytesPerMs,
      ...{ signal, onBeat },
    });
    const after = spanOf(await packetTimes(output, probing));
    if (!after) return { leftOut: 'unreadable', problem: 'Nothing of it could be copied.' };
    // Without a manifest the file's last write is the best clock there is.
    const firstAt =
      track.zeroAt === null ? track.lastWrittenAt - (before.endMs - before.firstMs) : track.zeroAt + before.firstMs;
    return {
      file: output,
      bytes: (await stat(output)).size,
      startedAt: Math.round(firstAt - after.firstMs),
      durationMs: Math.round(after.endMs),
    };
  } catch (error) {
    if (!(error instanceof ToolError) || error.kind !== 'failed') throw error;
    return { leftOut: 'unreadable', problem: error.message };
  }
}

function spanOf({ video, audio }: Awaited<ReturnType<typeof packetTimes>>): { firstMs: number; endMs: number } | null {
  const times = [video, audio].filter((each) => each !== null);
  if (times.length === 0) return null;
  return {
    firstMs: Math.min(...times.map(({ firstMs }) => firstMs)),
    endMs: Math.max(...times.map(({ endMs }) => endMs)),
  };
}
