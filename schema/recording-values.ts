/** The words in which recordings are set up and described. */
import { type RecordingState, recordingStates } from '../src/jobs/recording-state.js';
import {
  type AudioCodec,
  audioCodecs,
  type InputType,
  inputTypes,
  type OutputFormat,
  outputFormats,
  pixelFormats,
  presets,
  tunes,
} from '../src/recordings/config.js';
import {
  type RecordingMode,
  type RecordingPreset,
  recordingModes,
  recordingPresets,
} from '../src/services/recording-input.js';
import { type RecordingSort, recordingSorts } from '../src/services/recording-pages.js';
import { builder } from './builder.js';

/** Values with their descriptions, under the same names. */
export const described = <Name extends string>(names: readonly Name[], descriptions: Record<Name, string>) =>
  Object.fromEntries(names.map((name) => [name, { description: descriptions[name] }])) as Record<
    Name,
    { description: string }
  >;
/** Values of ffmpeg's, in capitals. */
const capital = <Value extends string>(values: readonly Value[], describe: (value: Value) => string) =>
  Object.fromEntries(values.map((value) => [value.toUpperCase(), { value, description: describe(value) }])) as Record<
    string,
    { value: Value; description: string }
  >;

export const InputTypeEnum = builder.enumType('RecordingInputType', {
  description: 'Where the media of a recording comes from.',
  values: described<InputType>(inputTypes, {
    SRT_URL: 'An SRT listener that we call at its address.',
    SRT_SERVER: 'SRT that is sent to a port of ours.',
    RTMP_URL: 'A stream that we pull from an RTMP server.',
    RTMP_SERVER: 'RTMP that is published to a port of ours.',
    RTSP_URL: 'A stream that we pull from an RTSP server.',
    RTSP_SERVER: 'RTSP that is announced to a port of ours.',
    HLS: 'An HLS playlist, by http or https.',
    DASH: 'A DASH manifest, by http or https.',
    HTTP_FLV: 'A live FLV stream, by http or https.',
    UDP: 'An MPEG transport stream that is sent to a port of ours, or to a multicast group, by UDP.',
    RTP: 'RTP that is sent to ports of ours: an MPEG transport stream, or tracks as a session description says.',
    RIST: 'An MPEG transport stream that is sent to a port of ours by RIST.',
    ROOM: 'A whole room, as our viewer page shows it.',
    PARTICIPANT: 'One participant of a room.',
  }),
});

export const OutputFormatEnum = builder.enumType('RecordingFormat', {
  description: 'What files a recording makes.',
  values: described<OutputFormat>(outputFormats, {
    MP4: 'MPEG-4, ready to be played while it is downloaded.',
    MKV: 'Matroska, which takes every codec.',
    MPEGTS: 'An MPEG transport stream.',
    FLV: 'Flash video.',
    AVI: 'Audio Video Interleave.',
    MP3: 'Sound alone.',
    M3U8: 'An HLS playlist with its media.',
  }),
});

export const RecordingModeEnum = builder.enumType('RecordingMode', {
  description: 'How many files a run makes.',
  values: described<RecordingMode>(recordingModes, {
    CONTINUOUS: 'One.',
    SPLIT_BY_TIME: 'One for each stretch of time, delivered as soon as it is full.',
  }),
});

export const RecordingPresetEnum = builder.enumType('RecordingPreset', {
  description:
    'What a recording is for. It sets what is usual for that; everything else that is given counts all the same.',
  values: described<RecordingPreset>(recordingPresets, {
    CONTINUOUS: 'One MP4 file a run.',
    SEGMENTED: 'MP4 files of ten minutes each.',
    HLS: 'A playlist with its media, for players in browsers.',
    AUDIO_ONLY: 'Sound alone, as MP3.',
  }),
});

export const RecordingStateEnum = builder.enumType('RecordingState', {
  description: 'Where a recording is, derived from its newest run.',
  values: described<RecordingState>(recordingStates, {
    INACTIVE: 'It is not running: it was never started, or its newest run ended with a result or was given up.',
    WAITING: 'A run waits for a recorder with room for it.',
    STARTING: 'A run opens its source, or waits for the first media of it.',
    RECORDING: 'Media is being recorded.',
    RECONNECTING: 'The source was lost, and is waited for; what was recorded is kept.',
    PAUSED: 'Recording is paused on request.',
    STOPPING: 'The recorder closes the last part.',
    FINALIZING: 'The files are being made.',
    FAILED: 'Its newest run ended without a result; the reason of that run says why.',
  }),
});

export const RecordingTypeEnum = builder.enumType('RecordingType', {
  description: 'What kind of recording it is.',
  values: { RECORDING_STREAM_TO_FILE: { description: 'A live input, recorded to files.' } },
});

export const RecordingApplicationEnum = builder.enumType('RecordingApplication', {
  description: 'What reads an input.',
  values: {
    FFMPEG: { description: 'ffmpeg.' },
    BROWSER: { description: 'A browser that shows our viewer page.' },
  },
});

export const RecordingSortEnum = builder.enumType('RecordingSort', {
  description: 'In which order recordings are listed.',
  values: described<RecordingSort>(recordingSorts, {
    CREATED_ASC: 'Oldest first.',
    CREATED_DESC: 'Newest first.',
    NAME: 'By name.',
  }),
});

export const TakesEffectEnum = builder.enumType('RecordingChangeTime', {
  description: 'From when on a change of a recording counts.',
  values: {
    NOW: {
      description: 'At once: a run that goes on records its next part by it, or is replaced where that cannot be.',
    },
    NEXT_RUN: { description: 'From the next run on.' },
  },
});

export const TreatmentEnum = builder.enumType('MediaTreatment', {
  description: 'What becomes of the picture, or the sound, of a source.',
  values: {
    COPY: { description: 'It is kept as it comes. Of a room: as the page is captured.' },
    TRANSCODE: { description: 'It is encoded anew while it is recorded.' },
    NONE: { description: 'It is left out.' },
  },
});

export const AudioCodecEnum = builder.enumType('AudioCodec', {
  description: 'What sound is encoded with.',
  values: described<AudioCodec>(audioCodecs, {
    AAC: 'Advanced Audio Coding.',
    MP3: 'MPEG-1 Audio Layer III.',
    OPUS: 'Opus.',
    AC3: 'Dolby Digital.',
    PCM: 'Not compressed, 16 bit.',
  }),
});

export const EncoderPresetEnum = builder.enumType('EncoderPreset', {
  description: 'How much work the encoder puts into each picture: the slower, the better for the same bit rate.',
  values: capital(presets, (value) => `\`${value}\` of x264.`),
});
export const EncoderTuneEnum = builder.enumType('EncoderTune', {
  description: 'What the encoder is tuned for.',
  values: capital(tunes, (value) => `\`${value}\` of x264.`),
});
export const PixelFormatEnum = builder.enumType('PixelFormat', {
  description: 'How pixels are stored.',
  values: capital(pixelFormats, (value) => `\`${value}\` of ffmpeg.`),
});

export const DownmixEnum = builder.enumType('Downmix', {
  description: 'How many channels sound is mixed down to.',
  values: { MONO: { description: 'One.' }, STEREO: { description: 'Two.' } },
});

export const OverlayKindEnum = builder.enumType('OverlayKind', {
  description: 'What is put over the picture.',
  values: { TEXT: { description: 'A line of text.' }, IMAGE: { description: 'A picture.' } },
});
