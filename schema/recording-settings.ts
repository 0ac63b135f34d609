/** How a recording treats picture and sound, as it is shown. */
import type {
  AudioChange,
  AudioEncoding,
  AudioTreatment,
  Overlay,
  RecordingConfig,
  VideoChange,
  VideoEncoding,
  VideoTreatment,
} from '../src/recordings/config.js';
import { builder } from './builder.js';
import {
  AudioCodecEnum,
  DownmixEnum,
  EncoderPresetEnum,
  EncoderTuneEnum,
  OverlayKindEnum,
  PixelFormatEnum,
  TreatmentEnum,
} from './recording-values.js';

/** A value of what is encoded; null where nothing is. */
const ofVideo =
  <Name extends keyof VideoEncoding>(name: Name) =>
  (video: VideoTreatment): VideoEncoding[Name] | null =>
    video.mode === 'TRANSCODE' ? video[name] : null;
const ofAudio =
  <Name extends keyof AudioEncoding>(name: Name) =>
  (audio: AudioTreatment): AudioEncoding[Name] | null =>
    audio.mode === 'TRANSCODE' ? audio[name] : null;

const VideoTranscoding = builder.objectRef<VideoTreatment>('VideoTranscoding').implement({
  description: 'What becomes of the picture. All but the mode is null unless it is encoded, with H.264.',
  fields: (t) => ({
    mode: t.field({ type: TreatmentEnum, description: 'What becomes of it.', resolve: ({ mode }) => mode }),
    bitrate: t.int({
      nullable: true,
      description: 'Bits per second; with a `crf` the most of them.',
      resolve: ofVideo('bitrate'),
    }),
    preset: t.field({
      type: EncoderPresetEnum,
      nullable: true,
      description: 'How much work goes into each picture.',
      resolve: ofVideo('preset'),
    }),
    tune: t.field({
      type: EncoderTuneEnum,
      nullable: true,
      description: 'What the encoder is tuned for. Null: nothing in particular.',
      resolve: ofVideo('tune'),
    }),
    crf: t.int({
      nullable: true,
      description: 'Constant rate factor, 0 to 51. Null: constant bit rate.',
      resolve: ofVideo('crf'),
    }),
    pixelFormat: t.field({
      type: PixelFormatEnum,
      nullable: true,
      description: 'How pixels are stored. Null: as the encoder likes.',
      resolve: ofVideo('pixelFormat'),
    }),
    encodingRate: t.float({
      nullable: true,
      description: 'Frames per second that the encoder is told. Null: as the source.',
      resolve: ofVideo('encodingRate'),
    }),
    filterFps: t.float({
      nullable: true,
      description: "Frames per second that are made of the source's before. Null: as they come.",
      resolve: ofVideo('filterFps'),
    }),
    gop: t.int({
      nullable: true,
      description: "Frames between key frames, at most. Null: the encoder's own.",
      resolve: ofVideo('gop'),
    }),
    forceKeyFrames: t.float({
      nullable: true,
      description: 'Seconds between key frames that are forced. Null: none is.',
      resolve: ofVideo('forceKeyFrames'),
    }),
    width: t.int({
      nullable: true,
      description: 'Pixels, even. Null: as the source, or in proportion to the height.',
      resolve: ofVideo('width'),
    }),
    height: t.int({
      nullable: true,
      description: 'Pixels, even. Null: as the source, or in proportion to the width.',
      resolve: ofVideo('height'),
    }),
    slices: t.int({
      nullable: true,
      description: "Slices of each picture. Null: the encoder's own.",
      resolve: ofVideo('slices'),
    }),
    cores: t.int({
      nullable: true,
      description: 'Threads that encode. Null: as many as the encoder likes.',
      resolve: ofVideo('cores'),
    }),
    hardwareDevice: t.string({
      nullable: true,
      description: 'The device that encodes. Always null: recorders encode on their processor.',
      resolve: () => null,
    }),
  }),
});

const AudioTranscoding = builder.objectRef<AudioTreatment>('AudioTranscoding').implement({
  description: 'What becomes of the sound. All but the mode is null unless it is encoded.',
  fields: (t) => ({
    mode: t.field({ type: TreatmentEnum, description: 'What becomes of it.', resolve: ({ mode }) => mode }),
    codec: t.field({
      type: AudioCodecEnum,
      nullable: true,
      description: 'What it is encoded with.',
      resolve: ofAudio('codec'),
    }),
    bitrate: t.int({ nullable: true, description: 'Bits per second.', resolve: ofAudio('bitrate') }),
    sampleRate: t.int({ nullable: true, description: 'Hertz.', resolve: ofAudio('sampleRate') }),
  }),
});

export const Transcoding = builder.objectRef<Pick<RecordingConfig, 'video' | 'audio'>>('Transcoding').implement({
  description: 'What becomes of picture and sound, each by itself.',
  fields: (t) => ({
    video: t.expose('video', { type: VideoTranscoding, description: 'The picture.' }),
    audio: t.expose('audio', { type: AudioTranscoding, description: 'The sound.' }),
  }),
});

export const AudioChangeType = builder.objectRef<AudioChange>('AudioChange').implement({
  description: 'What is done to the sound before it is encoded.',
  fields: (t) => ({
    track: t.exposeInt('track', { description: 'Which track of the source, from 0.' }),
    channels: t.exposeIntList('channels', {
      nullable: true,
      description: 'Which channels of it, from 1, in this order. Null: all.',
    }),
    downmix: t.expose('downmix', {
      type: DownmixEnum,
      nullable: true,
      description: 'What they are mixed down to. Null: nothing.',
    }),
    gain: t.exposeFloat('gain', { description: 'Decibels.' }),
  }),
});

const Crop = builder.objectRef<NonNullable<VideoChange['crop']>>('Crop').implement({
  description: 'The part of a picture that is kept.',
  fields: (t) => ({
    x: t.exposeInt('x', { description: 'Pixels from the left.' }),
    y: t.exposeInt('y', { description: 'Pixels from the top.' }),
    width: t.exposeInt('width', { description: 'Pixels.' }),
    height: t.exposeInt('height', { description: 'Pixels.' }),
  }),
});

const Scale = builder.objectRef<NonNullable<VideoChange['scale']>>('Scale').implement({
  description: 'The size that a picture is brought to.',
  fields: (t) => ({
    width: t.exposeInt('width', { description: 'Pixels, even.' }),
    height: t.exposeInt('height', { description: 'Pixels, even.' }),
  }),
});

export const VideoChangeType = builder.objectRef<VideoChange>('VideoChange').implement({
  description: 'What is done to the picture before it is encoded, in the order of these fields.',
  fields: (t) => ({
    deinterlace: t.exposeBoolean('deinterlace', { description: 'Whether half pictures are made whole.' }),
    crop: t.expose('crop', { type: Crop, nullable: true, description: 'What is kept of it. Null: all.' }),
    rotate: t.exposeInt('rotate', { description: 'Degrees, clockwise: 0, 90, 180 or 270.' }),
    scale: t.expose('scale', { type: Scale, nullable: true, description: 'Its size. Null: as it is.' }),
    fps: t.exposeFloat('fps', { nullable: true, description: 'Frames per second. Null: as they come.' }),
  }),
});

export const OverlayType = builder.objectRef<Overlay>('Overlay').implement({
  description: 'A text or an image that is put over the picture.',
  fields: (t) => ({
    kind: t.field({ type: OverlayKindEnum, description: 'What it is.', resolve: ({ content }) => content.kind }),
    x: t.exposeInt('x', { description: 'Pixels from the left of the picture that is encoded.' }),
    y: t.exposeInt('y', { description: 'Pixels from its top.' }),
    opacity: t.exposeFloat('opacity', { description: '0, not to be seen, to 1.' }),
    text: t.string({
      nullable: true,
      description: 'Null for an image.',
      resolve: ({ content }) => (content.kind === 'TEXT' ? content.text : null),
    }),
    size: t.int({
      nullable: true,
      description: 'Of the letters, pixels. Null for an image.',
      resolve: ({ content }) => (content.kind === 'TEXT' ? content.size : null),
    }),
    color: t.string({
      nullable: true,
      description: 'Of the letters: red, green and blue as six hexadecimal digits. Null for an image.',
      resolve: ({ content }) => (content.kind === 'TEXT' ? content.color : null),
    }),
    image: t.field({
      type: 'Base64',
      nullable: true,
      description: 'PNG or JPEG. Null for a text.',
      resolve: ({ content }) => (content.kind === 'IMAGE' ? Buffer.from(content.image, 'base64') : null),
    }),
  }),
});

export const SplitEvery = builder.objectRef<number>('SplitEvery').implement({
  description: 'How long each file is: all three together.',
  fields: (t) => ({
    hours: t.int({ description: 'Hours.', resolve: (ms) => Math.floor(ms / 3_600_000) }),
    minutes: t.int({ description: 'Minutes, 0 to 59.', resolve: (ms) => Math.floor(ms / 60_000) % 60 }),
    seconds: t.int({ description: 'Seconds, 0 to 59.', resolve: (ms) => Math.floor(ms / 1_000) % 60 }),
  }),
});
