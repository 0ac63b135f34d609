/** Renditions of a recording that players can choose from, and what is recorded. */
import * as z from 'zod';

/** One rung of the ladder that players get. Pixels are even; `fps` 0: as the source. */
export interface PlaybackProfile {
  name: string;
  fps: number;
  /** Bits per second. */
  bitrate: number;
  width: number;
  height: number;
}

/** What a session is recorded as. */
export interface RecordingProfile {
  name: string;
  width: number;
  height: number;
  /** Bits per second, at most. */
  bitrate: number;
  /** Constant rate factor, 0 to 51. */
  quality: number;
  /** Frames per second: `fps` / `fpsDen`. */
  fps: number;
  fpsDen: number;
  /** Seconds between key frames. */
  gop: number;
  profile: 'H264Baseline' | 'H264Main' | 'H264High';
  encoder: 'H.264';
}

export interface RecordingSpec {
  profiles: RecordingProfile[];
}

export const defaultProfiles: readonly PlaybackProfile[] = [
  { name: '240p0', fps: 0, bitrate: 250_000, width: 426, height: 240 },
  { name: '360p0', fps: 0, bitrate: 800_000, width: 640, height: 360 },
  { name: '480p0', fps: 0, bitrate: 1_600_000, width: 854, height: 480 },
  { name: '720p0', fps: 0, bitrate: 3_000_000, width: 1280, height: 720 },
];

export const defaultRecordingSpec: RecordingSpec = {
  profiles: [
    {
      ...{ name: '720p', width: 1280, height: 720, bitrate: 3_000_000, quality: 23, fps: 30, fpsDen: 1, gop: 2 },
      ...{ profile: 'H264Baseline', encoder: 'H.264' },
    },
  ],
};

const pixels = (least: number, most: number) =>
  z
    .int('must be a whole number of pixels')
    .min(least, `must be at least ${least} pixels`)
    .max(most, `must be at most ${most} pixels`)
    .refine((size) => size % 2 === 0, 'must be even');
const name = z.string().regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1 to 32 letters, digits, "-" or "_"');
const bitrate = z
  .int('must be a whole number of bits per second')
  .min(50_000, 'must be at least 50,000 bits per second')
  .max(20_000_000, 'must be at most 20,000,000 bits per second');

export const playbackProfilesInput = z
  .array(
    z.object({
      ...{ name, bitrate, width: pixels(128, 1920), height: pixels(96, 1080) },
      fps: z.int().min(0, 'must be 0, as the source, or more').max(60, 'must be at most 60'),
    }),
  )
  .min(1, 'must have at least one profile')
  .max(6, 'must have at most 6 profiles')
  .refine((profiles) => new Set(profiles.map((each) => each.name)).size === profiles.length, 'names must differ');

export const recordingSpecInput = z.object({
  profiles: z
    .array(
      z.object({
        ...{ name, bitrate, width: pixels(320, 1920), height: pixels(240, 1080) },
        quality: z.int().min(0, 'must be 0 to 51').max(51, 'must be 0 to 51'),
        fps: z.int().min(1, 'must be at least 1').max(60_000, 'must be at most 60,000'),
        fpsDen: z.int().min(1, 'must be at least 1').max(1_001, 'must be at most 1,001'),
        gop: z.number().min(0.5, 'must be at least 0.5 seconds').max(10, 'must be at most 10 seconds'),
        profile: z.enum(['H264Baseline', 'H264Main', 'H264High']),
        encoder: z.literal('H.264'),
      }),
    )
    // One capture is made of a live period: everything else is derived from it.
    .length(1, 'must have exactly one profile'),
});
