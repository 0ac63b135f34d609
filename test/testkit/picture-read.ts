/** Reads back single pictures and packets of a recording: what colour a pixel has, and where pictures differ. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Size } from './media-card.js';
import type { Area } from './people-read.js';

const run = promisify(execFile);
const mostBytes = 1 << 28;

export interface Picture extends Size {
  /** Red, green and blue of each pixel, line by line. */
  rgb: Buffer;
}

/** The picture of a file at an index in order of presentation, at this size. */
export async function readPicture(file: string, index: number, size: Size): Promise<Picture> {
  const filter = `select=eq(n\\,${index}),scale=${size.width}:${size.height}:flags=bicubic`;
  const args = ['-nostdin', '-v', 'error', '-i', file, '-vf', filter, '-frames:v', '1'];
  const { stdout } = await run('ffmpeg', [...args, '-pix_fmt', 'rgb24', '-f', 'rawvideo', '-'], {
    encoding: 'buffer',
    maxBuffer: mostBytes,
  });
  if (stdout.length !== size.width * size.height * 3) throw new Error(`${file} has no picture ${index}.`);
  return { ...size, rgb: stdout };
}

/** Around all pixels that differ by more than codecs do; null where none does. */
export function differingArea(one: Picture, other: Picture, leastDifference: number): Area | null {
  let [left, top, right, bottom] = [one.width, one.height, -1, -1];
  for (let y = 0; y < one.height; y++) {
    for (let x = 0; x < one.width; x++) {
      if (differenceAt(one, other, x, y) < leastDifference) continue;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    }
  }
  return right < 0 ? null : { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

function differenceAt(one: Picture, other: Picture, x: number, y: number): number {
  const at = (y * one.width + x) * 3;
  let sum = 0;
  for (let colour = 0; colour < 3; colour++)
    sum += Math.abs((one.rgb[at + colour] as number) - (other.rgb[at + colour] as number));
  return sum / 3;
}

export interface Packet {
  atMs: number;
  bytes: number;
  isKey: boolean;
}

/** Of the first track of a kind, in order of presentation. */
export async function readPackets(file: string, kind: 'v' | 'a'): Promise<Packet[]> {
  const what = ['-select_streams', `${kind}:0`, '-show_entries', 'packet=pts_time,size,flags', '-of', 'csv=p=0'];
  const { stdout } = await run('ffprobe', ['-v', 'error', ...what, file], { maxBuffer: mostBytes });
  const packets = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(','));
  return packets
    .map(([time, bytes, flags]) => ({ atMs: Number(time) * 1000, bytes: Number(bytes), isKey: flags?.[0] === 'K' }))
    .sort((a, b) => a.atMs - b.atMs);
}

/** What x264 says of how it encoded, such as `keyint=20`; and how many slices pictures have. */
export async function readH264(file: string): Promise<{ options: string; slices: number }> {
  const args = ['-nostdin', '-v', 'error', '-i', file, '-map', '0:v', '-c', 'copy'];
  const { stdout } = await run('ffmpeg', [...args, '-bsf:v', 'h264_mp4toannexb', '-f', 'h264', '-'], {
    encoding: 'buffer',
    maxBuffer: mostBytes,
  });
  let slices = 0;
  for (let at = stdout.indexOf(startCode); at >= 0; at = stdout.indexOf(startCode, at + 3)) {
    const type = (stdout[at + 3] ?? 0) & 0x1f;
    if (type === 1 || type === 5) slices += 1;
  }
  const options = /options: ([\x20-\x7e]*)/.exec(stdout.toString('latin1'))?.[1] ?? '';
  return { options, slices };
}

const startCode = Buffer.from([0, 0, 1]);
