/** How clients say how a recording treats picture and sound, and what is made of them. */
import { builder } from './builder.js';
import {
  AudioCodecEnum,
  DownmixEnum,
  EncoderPresetEnum,
  EncoderTuneEnum,
  OutputFormatEnum,
  PixelFormatEnum,
  RecordingModeEnum,
  TreatmentEnum,
} from './recording-values.js';

type InputFields = Parameters<Parameters<typeof builder.inputType>[1]['fields']>[0];

const onlyEncoded = 'With mode TRANSCODE only';

const VideoTranscodingInput = builder.inputType('VideoTranscodingInput', {
  description: 'What becomes of the picture.',
  fields: (t) => ({
    mode: t.field({
      type: TreatmentEnum,
      required: false,
      description:
        'COPY when left out; NONE for MP3, and TRANSCODE for participants in another format than MKV. TRANSCODE: H.264.',
    }),
    bitrate: t.int({
      required: false,
      description: `${onlyEncoded}: bits per second, 50,000 to 100,000,000, 6,000,000 when left out; with a \`crf\` the most of them.`,
    }),
    preset: t.field({
      type: EncoderPresetEnum,
      required: false,
      description: `${onlyEncoded}: how much work goes into each picture, ULTRAFAST when left out.`,
    }),
    tune: t.field({
      type: EncoderTuneEnum,
      required: false,
      description: `${onlyEncoded}: what the encoder is tuned for. Left out: nothing in particular.`,
    }),
    crf: t.int({
      required: false,
      description: `${onlyEncoded}: constant rate factor, 0 to 51. Left out: constant bit rate.`,
    }),
    pixelFormat: t.field({
      type: PixelFormatEnum,
      required: false,
      description: `${onlyEncoded}: how pixels are stored. Left out: as the encoder likes.`,
    }),
    encodingRate: t.float({
      required: false,
      description: `${onlyEncoded}: frames per second that the encoder is told, 1 to 120. Left out: as the source.`,
    }),
    filterFps: t.float({
      required: false,
      description: `${onlyEncoded}: frames per second that are made of the source's before, 1 to 120. Left out: as they come.`,
    }),
    gop: t.int({
      required: false,
      description: `${onlyEncoded}: frames between key frames, at most, 1 to 3,000. Left out: the encoder's own.`,
    }),
    forceKeyFrames: t.float({
      required: false,
      description: `${onlyEncoded}: seconds between key frames that are forced, up to 60, 2 when left out; 0: none is.`,
    }),
    width: t.int({
      required: false,
      description: `${onlyEncoded}: pixels, 16 to 7,680; odd ones are rounded up. Left out: as the source, or in proportion.`,
    }),
    height: t.int({
      required: false,
      description: `${onlyEncoded}: pixels, 16 to 4,320; odd ones are rounded up. Left out: as the source, or in proportion.`,
    }),
    slices: t.int({
      required: false,
      description: `${onlyEncoded}: slices of each picture, 1 to 64. Left out: the encoder's own.`,
    }),
    cores: t.int({
      required: false,
      description: `${onlyEncoded}: threads that encode, 1 to 64. Left out: as many as the encoder likes.`,
    }),
    hardwareDevice: t.string({
      required: false,
      description: 'The device that is to encode. Refused, since recorders have none; `"0"` is none.',
    }),
  }),
});

const AudioTranscodingInput = builder.inputType('AudioTranscodingInput', {
  description: 'What becomes of the sound.',
  fields: (t) => ({
    mode: t.field({
      type: TreatmentEnum,
      required: false,
      description: 'TRANSCODE when left out; COPY for participants in MKV.',
    }),
    codec: t.field({
      type: AudioCodecEnum,
      required: false,
      description: `${onlyEncoded}: AAC when left out, or MP3 in that format.`,
    }),
    bitrate: t.int({
      required: false,
      description: `${onlyEncoded}: bits per second, 8,000 to 640,000 as the codec allows; 128,000 when left out.`,
    }),
    sampleRate: t.int({
      required: false,
      description: `${onlyEncoded}: hertz, of those that the codec knows; 44,100 when left out, 48,000 for Opus.`,
    }),
  }),
});

const TranscodingInput = builder.inputType('TranscodingInput', {
  description: 'What becomes of picture and sound, each by itself.',
  fields: (t) => ({
    video: t.field({ type: VideoTranscodingInput, required: false, description: 'The picture.' }),
    audio: t.field({ type: AudioTranscodingInput, required: false, description: 'The sound.' }),
  }),
});

const AudioChangeInput = builder.inputType('AudioChangeInput', {
  description: 'What is done to the sound before it is encoded.',
  fields: (t) => ({
    track: t.int({ required: false, description: 'Which track of the source, from 0 to 31; 0 when left out.' }),
    channels: t.intList({
      required: false,
      description: 'Which channels of it, from 1 to 16, in this order. Left out: all.',
    }),
    downmix: t.field({
      type: DownmixEnum,
      required: false,
      description: 'What they are mixed down to. Left out: nothing.',
    }),
    gain: t.float({ required: false, description: 'Decibels, -60 to 60; 0 when left out.' }),
  }),
});

const CropInput = builder.inputType('CropInput', {
  description: 'The part of a picture that is kept.',
  fields: (t) => ({
    x: t.int({ description: 'Pixels from the left.' }),
    y: t.int({ description: 'Pixels from the top.' }),
    width: t.int({ description: 'Pixels; odd ones are rounded up.' }),
    height: t.int({ description: 'Pixels; odd ones are rounded up.' }),
  }),
});

const ScaleInput = builder.inputType('ScaleInput', {
  description: 'The size that a picture is brought to.',
  fields: (t) => ({
    width: t.int({ description: 'Pixels, 16 to 7,680; odd ones are rounded up.' }),
    height: t.int({ description: 'Pixels, 16 to 4,320; odd ones are rounded up.' }),
  }),
});

const VideoChangeInput = builder.inputType('VideoChangeInput', {
  description:
    'What is done to the picture before it is encoded, in the order of these fields. Needs the picture to be encoded.',
  fields: (t) => ({
    deinterlace: t.boolean({
      required: false,
      description: 'Whether half pictures are made whole; false when left out.',
    }),
    crop: t.field({ type: CropInput, required: false, description: 'What is kept of it. Left out: all.' }),
    rotate: t.int({ required: false, description: 'Degrees, clockwise: 0, 90, 180 or 270; 0 when left out.' }),
    scale: t.field({ type: ScaleInput, required: false, description: 'Its size. Left out: as it is.' }),
    fps: t.float({ required: false, description: 'Frames per second, 1 to 120. Left out: as they come.' }),
  }),
});

const OverlayInput = builder.inputType('OverlayInput', {
  description: 'A text or an image that is put over the picture: give one of the two. Needs the picture to be encoded.',
  fields: (t) => ({
    x: t.int({ required: false, description: 'Pixels from the left of the picture that is encoded; 1 when left out.' }),
    y: t.int({ required: false, description: 'Pixels from its top; 1 when left out.' }),
    opacity: t.float({ required: false, description: '0, not to be seen, to 1; 1 when left out.' }),
    text: t.string({ required: false, description: 'At most 200 characters.' }),
    size: t.int({ required: false, description: 'Of the letters, pixels, 8 to 512; 32 when left out.' }),
    color: t.string({
      required: false,
      description: 'Of the letters: red, green and blue as six hexadecimal digits; `ffffff` when left out.',
    }),
    image: t.field({
      type: 'Base64',
      required: false,
      description: 'PNG or JPEG, of at most 512 KB and 4,096 pixels each way.',
    }),
  }),
});

const SplitEveryInput = builder.inputType('SplitEveryInput', {
  description: 'How long each file is, all three together: 1 second to 24 hours.',
  fields: (t) => ({
    hours: t.int({ required: false, description: 'Hours; 0 when left out.' }),
    minutes: t.int({ required: false, description: 'Minutes; 0 when left out.' }),
    seconds: t.int({ required: false, description: 'Seconds; 0 when left out.' }),
  }),
});

/** What can be set of a recording when it is made and later, but for its name and its input. */
export const settingsFields = (t: InputFields) => ({
  outputFormat: t.field({
    type: OutputFormatEnum,
    required: false,
    description: 'What its files are: MP4 unless set; of participants MKV.',
  }),
  mode: t.field({
    type: RecordingModeEnum,
    required: false,
    description: 'How many files each run makes: one unless set, or `splitEvery` is given.',
  }),
  splitEvery: t.field({
    type: SplitEveryInput,
    required: false,
    description: 'How long each file is, for SPLIT_BY_TIME. Cut at key frames where the picture is copied.',
  }),
  fillGaps: t.boolean({
    required: false,
    description: 'Whether gaps become black and silence; false unless set: they are cut out.',
  }),
  transcoding: t.field({
    type: TranscodingInput,
    required: false,
    description:
      'What becomes of picture and sound. Unless set, the picture is copied, and the sound encoded as AAC of 128,000 bit/s at 44,100 Hz.',
  }),
  audioChange: t.field({
    type: AudioChangeInput,
    required: false,
    description: 'What is done to the sound before it is encoded; nothing unless set.',
  }),
  videoChange: t.field({
    type: VideoChangeInput,
    required: false,
    description: 'What is done to the picture before it is encoded; nothing unless set.',
  }),
  overlay: t.field({
    type: OverlayInput,
    required: false,
    description: 'What is put over the picture; nothing unless set.',
  }),
  deleteAfter: t.int({
    required: false,
    description: 'Days after which each of its files is removed, up to 36,500; 0, never, unless set.',
  }),
  maxDuration: t.int({
    required: false,
    description: 'Seconds from its first frame until a run stops by itself, 1 to 604,800, which it is unless set.',
  }),
  callbackUrl: t.string({
    required: false,
    description:
      'Where every change of state of its runs is posted, signed: an http or https address; at most 2,048 characters.',
  }),
});
