/** Parts as a recorder leaves them: real ffmpeg writing the test card, stopped or killed in the middle. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cardInputs, type Size } from './media-card.js';

export const mediaTools = { ffmpeg: 'ffmpeg', ffprobe: 'ffprobe' };

export const smallCard: Size = { width: 320, height: 240 };

// What recorders write: parts must be readable up to the last quarter of a second at any time.
const videoOptions = [
  ...['-c:v', 'libx264', '-preset', 'veryfast', '-b:v', '1500k', '-maxrate', '1500k', '-bufsize', '3M', '-g', '60'],
  ...['-pix_fmt', 'yuv420p'],
];
const audioOptions = ['-c:a', 'aac', '-b:a', '128k'];
const fileOptions = ['-f', 'matroska', '-cluster_time_limit', '250', '-flush_packets', '1'];
const partOptions = [...videoOptions, ...audioOptions, ...fileOptions];

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'tapedeck-test-'));

/** Writes a part that was ended in good order, as fast as the machine can. */
export async function writePart(file: string, seconds: number, firstNumber = 0, size = smallCard): Promise<void> {
  const inputs = cardInputs(size, firstNumber);
  const child = spawn('ffmpeg', ['-v', 'error', '-y', ...inputs, '-t', String(seconds), ...partOptions, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`ffmpeg could not write ${file}: status ${code}`);
}

/** How a part is to be encoded. */
export interface PartEncoding {
  seconds: number;
  firstNumber?: number;
  size?: Size;
  /** ffmpeg's options; null: none of the kind is in it. */
  video?: readonly string[] | null;
  audio?: readonly string[] | null;
}

/** Writes a part in other codecs than recorders do by themselves, such as a source sends it that is only copied. */
export async function writeEncodedPart(file: string, encoding: PartEncoding): Promise<void> {
  const { seconds, firstNumber = 0, size = smallCard, video = videoOptions, audio = audioOptions } = encoding;
  const streams = [...(video ? ['-map', '0:v', ...video] : []), ...(audio ? ['-map', '1:a', ...audio] : [])];
  const inputs = cardInputs(size, firstNumber);
  const args = ['-v', 'error', '-y', ...inputs, '-t', String(seconds), ...streams, ...fileOptions, file];
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`ffmpeg could not write ${file}: status ${code}`);
}

/** What a decoder says of all of a file; empty when there is nothing to say. */
export async function decodingProblems(file: string): Promise<string> {
  const args = ['-v', 'warning', '-i', file, '-map', '0', '-fps_mode', 'passthrough', '-f', 'null', '-'];
  const child = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let text = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child, 'close');
  // What ffmpeg says of its own output, and of channels and lengths that a file of plain samples does not name, is nothing amiss.
  const lines = text
    .split('\n')
    .filter((line) => !/^\[null @|^Guessed Channel Layout|Estimating duration|^ *Last message/.test(line));
  return lines.join('\n').trim();
}

/** Writes a part in real time and kills its writer with SIGKILL after `seconds`; returns how many frames it had been given. */
export async function writeKilledPart(file: string, seconds: number, firstNumber = 0): Promise<number> {
  const inputs = cardInputs(smallCard, firstNumber).flatMap((item) => (item === '-f' ? ['-re', item] : [item]));
  const report = ['-v', 'error', '-y', '-progress', 'pipe:1', '-stats_period', '0.1'];
  const child = spawn('ffmpeg', [...report, ...inputs, ...partOptions, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  let frames = 0;
  let text = '';
  const begun = new Promise<void>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const reported = [...text.matchAll(/frame=(\d+)\n/g)].at(-1);
      frames = Number(reported?.[1] ?? 0);
      if (frames > 0) resolve();
    });
  });
  await begun;
  await sleep(seconds * 1000);
  child.kill('SIGKILL');
  await closed;
  return frames;
}
