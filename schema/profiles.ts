/** Renditions that players choose from, and what is recorded: of rooms, and of their sessions. */
import type {
  RecordingProfile as Recorded,
  PlaybackProfile as Rendition,
  RecordingSpec as Spec,
} from '../src/rooms/profiles.js';
import { builder } from './builder.js';

const words = {
  name: 'Names it among the others: 1 to 32 letters, digits, `-` or `_`.',
  width: 'Pixels, even.',
  height: 'Pixels, even.',
  bitrate: 'Bits per second, at most.',
  renditionFps: 'Frames per second; 0 as the source.',
  quality: 'Constant rate factor, 0 to 51: lower is better.',
  fps: 'Frames per second are this by `fpsDen`.',
  fpsDen: 'Frames per second are `fps` by this.',
  gop: 'Seconds between key frames.',
  profile: 'Profile of H.264.',
  encoder: 'What it is encoded as.',
};

export const PlaybackProfile = builder.objectRef<Rendition>('PlaybackProfile').implement({
  description: 'One rendition that players choose from.',
  fields: (t) => ({
    name: t.exposeString('name', { description: words.name }),
    fps: t.exposeInt('fps', { description: words.renditionFps }),
    bitrate: t.exposeInt('bitrate', { description: words.bitrate }),
    width: t.exposeInt('width', { description: words.width }),
    height: t.exposeInt('height', { description: words.height }),
  }),
});

const H264Profile = builder.enumType('H264Profile', {
  description: 'Profiles of H.264.',
  values: {
    H264_BASELINE: { value: 'H264Baseline', description: 'Plays everywhere.' },
    H264_MAIN: { value: 'H264Main', description: 'Smaller files; plays nearly everywhere.' },
    H264_HIGH: { value: 'H264High', description: 'The smallest files.' },
  } as const,
});

const VideoEncoder = builder.enumType('VideoEncoder', {
  description: 'What video is encoded as.',
  values: { H264: { value: 'H.264', description: 'H.264, also known as AVC.' } } as const,
});

const RecordingProfile = builder.objectRef<Recorded>('RecordingProfile').implement({
  description: 'What a session is recorded as.',
  fields: (t) => ({
    name: t.exposeString('name', { description: words.name }),
    width: t.exposeInt('width', { description: words.width }),
    height: t.exposeInt('height', { description: words.height }),
    bitrate: t.exposeInt('bitrate', { description: words.bitrate }),
    quality: t.exposeInt('quality', { description: words.quality }),
    fps: t.exposeInt('fps', { description: words.fps }),
    fpsDen: t.exposeInt('fpsDen', { description: words.fpsDen }),
    gop: t.exposeFloat('gop', { description: words.gop }),
    profile: t.expose('profile', { type: H264Profile, description: words.profile }),
    encoder: t.expose('encoder', { type: VideoEncoder, description: words.encoder }),
  }),
});

export const RecordingSpec = builder.objectRef<Spec>('RecordingSpec').implement({
  description: 'What is recorded of a live period.',
  fields: (t) => ({
    profiles: t.expose('profiles', { type: [RecordingProfile], description: 'One: renditions are made of it.' }),
  }),
});

export const PlaybackProfileInput = builder.inputType('PlaybackProfileInput', {
  description: 'One rendition that players choose from.',
  fields: (t) => ({
    name: t.string({ description: words.name }),
    width: t.int({ description: 'Pixels, even, 128 to 1920.' }),
    height: t.int({ description: 'Pixels, even, 96 to 1080.' }),
    bitrate: t.int({ description: 'Bits per second, 50,000 to 20,000,000.' }),
    fps: t.int({ defaultValue: 0, description: 'Frames per second, 1 to 60, or 0: as the source.' }),
  }),
});

const RecordingProfileInput = builder.inputType('RecordingProfileInput', {
  description: 'What a session is recorded as.',
  fields: (t) => ({
    name: t.string({ description: words.name }),
    width: t.int({ description: 'Pixels, even, 320 to 1920.' }),
    height: t.int({ description: 'Pixels, even, 240 to 1080.' }),
    bitrate: t.int({ description: 'Bits per second, 50,000 to 20,000,000.' }),
    quality: t.int({ defaultValue: 23, description: words.quality }),
    fps: t.int({ defaultValue: 30, description: words.fps }),
    fpsDen: t.int({ defaultValue: 1, description: words.fpsDen }),
    gop: t.float({ defaultValue: 2, description: 'Seconds between key frames, 0.5 to 10.' }),
    profile: t.field({ type: H264Profile, defaultValue: 'H264Baseline', description: words.profile }),
    encoder: t.field({ type: VideoEncoder, defaultValue: 'H.264', description: words.encoder }),
  }),
});

export const RecordingSpecInput = builder.inputType('RecordingSpecInput', {
  description: 'What is to be recorded of a live period.',
  fields: (t) => ({
    profiles: t.field({ type: [RecordingProfileInput], description: 'Exactly one: renditions are made of it.' }),
  }),
});
