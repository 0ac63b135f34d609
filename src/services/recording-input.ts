/** What clients may give for a recording. What is left out stays as it was, or is as usual; null is as usual. */
import * as z from 'zod';
import { identityRule } from '../auth/room-tokens.js';
import { layouts } from '../jobs/capture.js';
import { audioCodecs, inputTypes, outputFormats, pixelFormats, presets, tunes } from '../recordings/config.js';
import { imageFault } from '../recordings/overlay-image.js';
import { plainText, requestIdRule } from './requests.js';
import { wholeSeconds } from './sources.js';

export const week = 604_800;
const day = 86_400;

export const recordingModes = ['CONTINUOUS', 'SPLIT_BY_TIME'] as const;
export type RecordingMode = (typeof recordingModes)[number];

/** What a recording is for: what is left out besides follows from it. */
export const recordingPresets = ['CONTINUOUS', 'SEGMENTED', 'HLS', 'AUDIO_ONLY'] as const;
export type RecordingPreset = (typeof recordingPresets)[number];

const whole = (least: number, most: number, unit: string) =>
  z
    .int(`must be a whole number from ${shown(least)} to ${shown(most)}${unit}`)
    .min(least, `must be at least ${shown(least)}${unit}`)
    .max(most, `must be at most ${shown(most)}${unit}`);
const number = (least: number, most: number, unit: string) =>
  z
    .number(`must be a number from ${shown(least)} to ${shown(most)}${unit}`)
    .min(least, `must be at least ${shown(least)}${unit}`)
    .max(most, `must be at most ${shown(most)}${unit}`);
const shown = (value: number): string => value.toLocaleString('en');
const within = (bytes: number) => (text: string) => Buffer.byteLength(text) <= bytes;
const upToEven = (pixels: number): number => pixels + (pixels % 2);
/** Even, because the video format halves the picture for colour. Odd ones are rounded up. */
const pixels = (least: number, most: number) => whole(least, most, ' pixels').transform(upToEven);
const framesPerSecond = number(1, 120, ' frames per second');

const recordingName = z
  .string()
  .max(100, 'is longer than 100 characters')
  .regex(/^[A-Za-z0-9 -]*$/, 'may have A-Z, a-z, 0-9, "-" and spaces, and nothing else')
  .transform((name) => name.trim())
  .pipe(z.string().min(1, 'is empty'));

/** Part of an address, and so of few signs. */
const streamKey = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/, 'must be 8 to 64 letters, digits, "-" or "_"');

const input = z.object({
  type: z.enum(inputTypes).nullish(),
  url: z.string().min(1, 'is empty').nullish(),
  latency: whole(20, 8_000, ' milliseconds').nullish(),
  passphrase: plainText
    .min(10, 'must have at least 10 characters')
    .refine(within(79), 'must have at most 79 bytes')
    .nullish(),
  keyLength: z
    .number()
    .pipe(z.literal([16, 24, 32], 'must be 16, 24 or 32 bytes'))
    .nullish(),
  streamId: plainText.min(1, 'is empty').refine(within(512), 'is longer than 512 bytes').nullish(),
  linkStats: z.boolean().nullish(),
  streamKey: streamKey.nullish(),
  sdp: z.string().min(1, 'is empty').max(16_384, 'is longer than 16,384 characters').nullish(),
  roomId: z.string().nullish(),
  roomName: z.string().nullish(),
  layout: z.enum(layouts).nullish(),
  identity: identityRule.nullish(),
  participantId: z.string().nullish(),
  connectTimeout: wholeSeconds(1, week).nullish(),
  reconnectTimeout: wholeSeconds(1, week).nullish(),
});

const video = z.object({
  mode: z.enum(['COPY', 'TRANSCODE', 'NONE']).nullish(),
  bitrate: whole(50_000, 100_000_000, ' bit/s').nullish(),
  preset: z.enum(presets).nullish(),
  tune: z.enum(tunes).nullish(),
  crf: whole(0, 51, '').nullish(),
  pixelFormat: z.enum(pixelFormats).nullish(),
  encodingRate: framesPerSecond.nullish(),
  filterFps: framesPerSecond.nullish(),
  gop: whole(1, 3_000, ' frames').nullish(),
  forceKeyFrames: number(0, 60, ' seconds').nullish(),
  width: pixels(16, 7_680).nullish(),
  height: pixels(16, 4_320).nullish(),
  slices: whole(1, 64, '').nullish(),
  cores: whole(1, 64, '').nullish(),
  // The seed's dashboard sends "0" when there is none to be used.
  hardwareDevice: z
    .string()
    .refine(
      (device) => device === '' || device === '0',
      'cannot be used: the recorders have no such device. Leave it out, and they encode on the processor',
    )
    .nullish(),
});

const audio = z.object({
  mode: z.enum(['COPY', 'TRANSCODE', 'NONE']).nullish(),
  codec: z.enum(audioCodecs).nullish(),
  bitrate: whole(8_000, 640_000, ' bit/s').nullish(),
  sampleRate: whole(8_000, 96_000, ' Hz').nullish(),
});

const audioChange = z.object({
  track: whole(0, 31, '').nullish(),
  channels: z
    .array(whole(1, 16, ''))
    .min(1, 'names no channel')
    .max(16, 'names more than 16 channels')
    .refine((all) => new Set(all).size === all.length, 'names a channel twice')
    .nullish(),
  downmix: z.enum(['MONO', 'STEREO']).nullish(),
  gain: number(-60, 60, ' decibels').nullish(),
});

const videoChange = z.object({
  deinterlace: z.boolean().nullish(),
  crop: z
    .object({
      x: whole(0, 16_384, ' pixels'),
      y: whole(0, 16_384, ' pixels'),
      width: pixels(2, 16_384),
      height: pixels(2, 16_384),
    })
    .nullish(),
  rotate: z
    .number()
    .pipe(z.literal([0, 90, 180, 270], 'must be 0, 90, 180 or 270 degrees'))
    .nullish(),
  scale: z.object({ width: pixels(16, 7_680), height: pixels(16, 4_320) }).nullish(),
  fps: framesPerSecond.nullish(),
});

const overlay = z
  .object({
    x: whole(0, 16_384, ' pixels').nullish(),
    y: whole(0, 16_384, ' pixels').nullish(),
    opacity: number(0, 1, '').nullish(),
    text: plainText.min(1, 'is empty').max(200, 'is longer than 200 characters').nullish(),
    size: whole(8, 512, ' pixels').nullish(),
    color: z
      .string()
      .regex(/^#?[0-9A-Fa-f]{6}$/, 'must be red, green and blue as six hexadecimal digits, such as ffcc00')
      .nullish(),
    image: z
      .custom<Uint8Array>((value) => value instanceof Uint8Array)
      .superRefine((bytes, context) => {
        const fault = imageFault(bytes);
        if (fault) context.addIssue({ code: 'custom', message: fault });
      })
      .nullish(),
  })
  .superRefine(({ text, image, size, color }, context) => {
    const refuse = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((text == null) === (image == null)) refuse('text', 'give a text or an image, and not both');
    if (image != null && size != null) refuse('size', 'is for a text: an image has the size that it has');
    if (image != null && color != null) refuse('color', 'is for a text');
  });

const splitEvery = z.object({
  hours: whole(0, 24, ' hours').nullish(),
  minutes: whole(0, 1_440, ' minutes').nullish(),
  seconds: whole(0, day, ' seconds').nullish(),
});

const settings = {
  outputFormat: z.enum(outputFormats).nullish(),
  mode: z.enum(recordingModes).nullish(),
  splitEvery: splitEvery.nullish(),
  fillGaps: z.boolean().nullish(),
  transcoding: z.object({ video: video.nullish(), audio: audio.nullish() }).nullish(),
  audioChange: audioChange.nullish(),
  videoChange: videoChange.nullish(),
  overlay: overlay.nullish(),
  deleteAfter: whole(0, 36_500, ' days').nullish(),
  active: z.boolean().nullish(),
  maxDuration: wholeSeconds(1, week).nullish(),
  callbackUrl: z.string().nullish(),
  requestId: requestIdRule.nullish(),
};

export const createRule = z.object({
  ...settings,
  name: recordingName,
  input,
  preset: z.enum(recordingPresets).nullish(),
});
export type CreateRecording = z.input<typeof createRule>;

export const updateRule = z.object({
  ...settings,
  name: recordingName.nullish(),
  input: input.nullish(),
  takesEffect: z
    .enum(['NOW', 'NEXT_RUN'])
    .nullish()
    .transform((given) => given ?? 'NOW'),
});
export type UpdateRecording = z.input<typeof updateRule>;

export type InputWish = z.output<typeof input>;
export type VideoWish = z.output<typeof video>;
export type AudioWish = z.output<typeof audio>;
export type AudioChangeWish = z.output<typeof audioChange>;
export type VideoChangeWish = z.output<typeof videoChange>;
export type OverlayWish = z.output<typeof overlay>;
export type SplitWish = z.output<typeof splitEvery>;
/** What a recording is to be, but for its name and for what is not in its configuration. */
export type SettingsWish = Pick<
  z.output<typeof createRule>,
  | 'outputFormat'
  | 'mode'
  | 'splitEvery'
  | 'fillGaps'
  | 'transcoding'
  | 'audioChange'
  | 'videoChange'
  | 'overlay'
  | 'maxDuration'
> & { input?: InputWish | null | undefined; preset?: RecordingPreset | null | undefined };
