/** A recording with its sound or its picture alone. */
import { stat } from 'node:fs/promises';
import { type MediaTools, runTool } from '../ffmpeg/run.js';

// As for joining: a slow disk reads, writes, and moves everything once more for the index in front.
const startLimitMs = 60_000;
const slowestBytesPerMs = 5_000;

/** Copies the streams of one kind to another file beside it, and answers its path. Throws ToolError, or the signal's reason. */
export async function keepOne(
  file: string,
  kind: 'audio' | 'video',
  { tools, signal }: { tools: MediaTools; signal?: AbortSignal | undefined },
): Promise<string> {
  const output = file.replace(/\.mp4$/, `-${kind}.mp4`);
  const streams = ['-map', kind === 'audio' ? '0:a' : '0:v', '-c', 'copy', '-movflags', '+faststart'];
  const { size } = await stat(file);
  const timeLimitMs = startLimitMs + size / slowestBytesPerMs;
  const args = ['-nostdin', '-v', 'error', '-y', '-i', `file:${file}`, ...streams, `file:${output}`];
  await runTool(tools.ffmpeg, args, { timeLimitMs, ...(signal ? { signal } : {}) });
  return output;
}
