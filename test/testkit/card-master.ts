/** The test card as encoders send it, encoded once for all who send it: to send a copy costs next to nothing. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cardInputs, type Size } from './media-card.js';

/** Of all but where its name says otherwise: H.264 with B-frames and a key frame each second, AAC of 48 kHz. */
export const variants = [
  'card',
  'wide',
  'hevc',
  'mpeg2',
  'opus',
  'audio',
  'video',
  'slow',
  'browser',
  'camera',
  'two',
  'fields',
] as const;
export type Variant = (typeof variants)[number];

export const masterSize: Size = { width: 320, height: 240 };
export const wideSize: Size = { width: 480, height: 270 };
export const masterSeconds = 90;
export const secondTrackHz = 880;

const h264 =
  '-c:v libx264 -preset veryfast -b:v 600k -maxrate 600k -bufsize 600k -g 30 -keyint_min 30 -sc_threshold 0 -bf 2';
const aac = '-c:a aac -b:a 128k';
const encodings: Record<Variant, { size: Size; picture: string; sound: string }> = {
  card: { size: masterSize, picture: h264, sound: aac },
  wide: { size: wideSize, picture: h264, sound: aac },
  hevc: {
    size: masterSize,
    picture: '-c:v libx265 -preset ultrafast -b:v 600k -x265-params keyint=30:min-keyint=30:scenecut=0:log-level=none',
    sound: aac,
  },
  mpeg2: { size: masterSize, picture: '-c:v mpeg2video -b:v 2M -g 30 -bf 2', sound: '-c:a mp2 -b:a 192k' },
  opus: { size: masterSize, picture: h264, sound: '-c:a libopus -b:a 96k' },
  audio: { size: masterSize, picture: '-vn', sound: aac },
  video: { size: masterSize, picture: h264, sound: '-an' },
  // Neither sends B-frames.
  camera: { size: masterSize, picture: h264.replace('-bf 2', '-bf 0'), sound: aac },
  browser: {
    size: masterSize,
    picture: '-c:v libx264 -preset ultrafast -tune zerolatency -profile:v baseline -b:v 400k -g 30',
    sound: '-c:a libopus -b:a 64k -frame_duration 20',
  },
  // A second track of sound, with one tone.
  two: {
    size: masterSize,
    picture: h264,
    sound: `-map 0:v -map 1:a -filter_complex sine=${secondTrackHz}:r=48000[second] -map [second] ${aac}`,
  },
  // Interlaced: each picture has lines of two, and so there are half as many.
  fields: {
    size: masterSize,
    picture: `-vf interlace=scan=tff:lowpass=0 ${h264} -flags +ilme+ildct -x264opts tff=1`,
    sound: aac,
  },
  // Four seconds between key frames, as encoders like to have by themselves.
  slow: { size: masterSize, picture: h264.replaceAll(' 30 ', ' 120 '), sound: aac },
};

const makings = new Map<Variant, Promise<string>>();

/** A Matroska file of 90 s. It is kept for later runs, under a name that says how it was made. */
export function cardMaster(variant: Variant = 'card'): Promise<string> {
  const making = makings.get(variant) ?? make(variant);
  makings.set(variant, making);
  return making;
}

async function make(variant: Variant): Promise<string> {
  const { size, picture, sound } = encodings[variant];
  const args = [...cardInputs(size), '-t', `${masterSeconds}`, ...picture.split(' '), ...sound.split(' ')];
  if (variant !== 'audio') args.push('-pix_fmt', 'yuv420p');
  const folder = join(tmpdir(), 'tapedeck-cards');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${variant}-${createHash('sha256').update(args.join(' ')).digest('hex').slice(0, 16)}.mkv`);
  if (existsSync(file)) return file;
  const making = `${file}.${process.pid}.mkv`;
  await promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args, making]);
  renameSync(making, file);
  return file;
}
