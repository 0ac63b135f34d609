/** Reads back from a recording who is to be seen and heard in it: colours, tones and beeps of synthetic people. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { layOut } from '../../web/layout.js';
import type { Size } from './media-card.js';
import type { Sound } from './media-read.js';

export interface Area extends Size {
  x: number;
  y: number;
}

/** Where so many people are in a grid, in order of their names. */
export function gridPlaces(count: number, size: Size): Area[] {
  const subjects = [...Array(count).keys()].map((index) => ({ key: `${index}`, screen: false }));
  return layOut('grid', subjects, size, null);
}

/** What a synthetic person sends unless told otherwise: the card that `readFrames` reads has this size. */
export const personSize: Size = { width: 640, height: 360 };
export const beepOf = (toneHz: number): number => toneHz * 4;

/** The colour of the person in an area of a picture or recording, degrees; null where it is grey, black or white. */
export async function readHue(file: string, area: Area, atSeconds = 0): Promise<number | null> {
  // Left of everything that is written or moves, below the name that the viewer adds.
  const patch = [area.width * 0.03, area.height * 0.35, area.x + area.width * 0.01, area.y + area.height * 0.25];
  const crop = `crop=${patch.map((value) => Math.round(value)).join(':')}`;
  const output = ['-frames:v', '1', '-vf', `${crop},scale=1:1:flags=area,format=rgb24`, '-f', 'rawvideo', '-'];
  const seek = atSeconds > 0 ? ['-ss', String(atSeconds)] : [];
  const child = spawn('ffmpeg', ['-nostdin', '-v', 'error', ...seek, '-i', file, ...output], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(child, 'close');
  const [red, green, blue] = Buffer.concat(chunks);
  if (code !== 0 || red === undefined || green === undefined || blue === undefined)
    throw new Error(`ffmpeg could not read a picture of ${file} at ${atSeconds} s.`);
  return hueOf(red, green, blue);
}

/** Whether two colours are the same to the eye: codecs shift them by some degrees. */
export const isHue = (seen: number | null, meant: number): boolean =>
  seen !== null && Math.min((seen - meant + 360) % 360, (meant - seen + 360) % 360) < 20;

function hueOf(red: number, green: number, blue: number): number | null {
  const most = Math.max(red, green, blue);
  const range = most - Math.min(red, green, blue);
  if (range < 40) return null;
  const sixth =
    most === red ? (green - blue) / range : most === green ? 2 + (blue - red) / range : 4 + (red - green) / range;
  return (sixth * 60 + 360) % 360;
}

// 25 Hz apart, tones are told from each other; people should differ by 60 Hz and more.
const windowMs = 40;
// A tenth of what a person sends: -40 dBFS.
const heardAmplitude = 0.01;

/** For each tone the share of the time in which it is heard, however many others are. */
export function toneShares({ left, sampleRate }: Sound, tonesHz: readonly number[]): number[] {
  const window = Math.round((sampleRate * windowMs) / 1000);
  const windows = Math.floor(left.length / window);
  return tonesHz.map((toneHz) => {
    let heard = 0;
    for (let i = 0; i < windows; i++)
      if (amplitude(left, i * window, window, toneHz / sampleRate) > heardAmplitude) heard++;
    return windows === 0 ? 0 : heard / windows;
  });
}

// 5 ms hold ten periods of a 2 kHz beep, and are its resolution in time.
const beepWindowMs = 5;
const betweenBeepsMs = 300;

/** When beeps of this frequency begin, milliseconds of the file. */
export function readBeepsAt({ left, blocks, sampleRate }: Sound, beepHz: number): number[] {
  const window = Math.round((sampleRate * beepWindowMs) / 1000);
  const step = Math.round(window / 2);
  const loudness: number[] = [];
  for (let from = 0; from + window <= left.length; from += step)
    loudness.push(amplitude(left, from, window, beepHz / sampleRate));
  const peak = loudness.reduce((most, each) => Math.max(most, each), 0);
  if (peak < heardAmplitude) return [];
  const onsets: number[] = [];
  let lastLoudMs = Number.NEGATIVE_INFINITY;
  loudness.forEach((level, index) => {
    if (level < peak / 2) return;
    // Half of the window lies in the beep when half of its loudness is reached.
    const sample = index * step + window / 2;
    const block = blocks.findLast(({ from }) => from <= sample);
    const atMs = block ? block.ptsMs + ((sample - block.from) * 1000) / sampleRate : 0;
    if (atMs - lastLoudMs > betweenBeepsMs && Number.isFinite(lastLoudMs)) onsets.push(atMs);
    lastLoudMs = atMs;
  });
  return onsets;
}

/** Of one frequency in a piece of sound (Goertzel); `cycles` a sample. */
function amplitude(samples: Float32Array, from: number, length: number, cycles: number): number {
  const factor = 2 * Math.cos(2 * Math.PI * cycles);
  let [last, beforeLast] = [0, 0];
  for (let i = from; i < from + length; i++)
    [last, beforeLast] = [(samples[i] as number) + factor * last - beforeLast, last];
  const power = last * last + beforeLast * beforeLast - factor * last * beforeLast;
  return (2 * Math.sqrt(Math.max(0, power))) / length;
}
