/** How many bits a recording of a picture may take: what the encoder is told, and what disks must have room for. */
import type { RecordingConfig } from '../recordings/config.js';

/** Pixels and frames per second. */
export interface Picture {
  width: number;
  height: number;
  fps: number;
}

// Above 720p30 `veryfast` takes more than a core and drops frames on two; `ultrafast` costs half and needs more bits.
export const veryfastPixelRate = 1280 * 720 * 30;
// 4 Mbit/s at 720p30.
const bitsPerPixel = 0.145;
const minimumRate = 1_000_000;
/** Bits per second of the sound. */
export const soundRate = 128_000;

/** Whether the encoder must spend fewer cycles and more bits on each picture to keep up. */
export const needsFastEncoding = ({ width, height, fps }: Picture): boolean => width * height * fps > veryfastPixelRate;

/** The most bits per second that the encoder may spend on the picture. */
export function maximalVideoRate(picture: Picture): number {
  const { width, height, fps } = picture;
  const rate = width * height * fps * bitsPerPixel * (needsFastEncoding(picture) ? 2 : 1);
  return Math.max(minimumRate, Math.round(rate));
}

/**
 * Bytes of disk a job is expected to need on its machine until it ends by itself: its parts at half the maximal rate, which
 * pages seldom exceed, and as much again for the result, which is made while the parts are still there.
 */
export function expectedBytes({ maxDurationMs, ...picture }: Picture & { maxDurationMs: number }): number {
  const usualRate = (maximalVideoRate(picture) + soundRate) / 2;
  return Math.ceil(2 * (usualRate / 8) * (maxDurationMs / 1000));
}

/** Of a stream that is copied nobody knows the rate before it comes; most that are sent are about that, bits per second. */
const usualStreamRate = 2_500_000;
/** Live inputs are often recorded until somebody stops them: to keep room for all of a week would keep everybody waiting. */
export const reservedMs = 3_600_000;

/** Bytes of disk a run of a recording of a stream is expected to need on its machine, of an hour at most. */
export function expectedStreamBytes({ video, audio, maxDurationMs }: RecordingConfig): number {
  const picture = video.mode === 'TRANSCODE' ? video.bitrate : video.mode === 'COPY' ? usualStreamRate : 0;
  const sound = audio.mode === 'TRANSCODE' ? audio.bitrate : audio.mode === 'COPY' ? soundRate : 0;
  return Math.ceil(((picture + sound) / 8) * (Math.min(maxDurationMs, reservedMs) / 1000));
}

/** Of a room of which it is not known who will come. */
export const usualPeople = 4;

/** Bytes of disk that people who are recorded one by one are expected to need, of an hour at most, with files made of it all. */
export function expectedPeopleBytes(people: number | null, maxDurationMs: number): number {
  const rate = (people ?? usualPeople) * (usualStreamRate + soundRate);
  return Math.ceil(2 * (rate / 8) * (Math.min(maxDurationMs, reservedMs) / 1000));
}
