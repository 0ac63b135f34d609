/** From what a client gives, and what a recording was before, to how it is recorded and what is made of it. */
import type {
  AudioChange,
  AudioCodec,
  AudioTreatment,
  InputType,
  Overlay,
  RecordingConfig,
  RecordingInput,
  RecordingOutput,
  VideoChange,
  VideoTreatment,
} from '../recordings/config.js';
import {
  audioRates,
  usualAudio,
  usualFormat,
  usualMaxDurationMs,
  usualSampleRate,
  usualSplitMs,
  usualVideo,
} from '../recordings/defaults.js';
import { checkFormat, type FormatIssue } from '../recordings/formats.js';
import { type FieldIssue, ValidationError } from './errors.js';
import type { AudioWish, OverlayWish, SettingsWish, VideoChangeWish, VideoWish } from './recording-input.js';

type Settings = Omit<RecordingConfig, 'input'>;

/** As clients give them. */
const fieldOf: Record<FormatIssue['field'], string> = {
  video: 'transcoding.video',
  audio: 'transcoding.audio',
  'output.format': 'outputFormat',
  'output.splitMs': 'splitEvery',
  'output.fillGaps': 'fillGaps',
};
const longestSplitSeconds = 86_400;

/** What is left out stays as it was before, and is as usual where it was nothing; null is as usual. */
const chosen = <Value>(wished: Value | null | undefined, before: Value | undefined, usual: Value): Value =>
  wished === undefined && before !== undefined ? before : (wished ?? usual);

/** The settings of a recording of that input. Throws ValidationError that names every field that is wrong. */
export function settingsFrom(wish: SettingsWish, input: RecordingInput, before?: Settings): Settings {
  const inputType = input.type;
  const issues: FieldIssue[] = [];
  const refuse = (field: string, message: string) => {
    issues.push({ field, message });
  };
  const { preset } = wish;
  const format = chosen(wish.outputFormat, before?.output.format, formatOf(preset) ?? usualFormat(inputType));
  const isUnknown = inputType === 'PARTICIPANT' && format !== 'MKV';
  const isSoundOnly = format === 'MP3' || preset === 'AUDIO_ONLY';
  const videoMode = isSoundOnly ? 'NONE' : isUnknown ? 'TRANSCODE' : 'COPY';
  const video = videoFrom(wish.transcoding?.video, before?.video ?? usualTreatment(videoMode), refuse);
  const usual = usualAudio(format);
  const isCopied = inputType === 'PARTICIPANT' && !isUnknown;
  const usualSound: AudioTreatment = isCopied ? { mode: 'COPY' } : { mode: 'TRANSCODE', ...usual };
  const audio = audioFrom(wish.transcoding?.audio, before?.audio ?? usualSound, usual.codec, refuse);
  const splitMs = splitFrom(wish, before?.output.splitMs, refuse);
  const fillGaps = chosen(wish.fillGaps, before?.output.fillGaps, false);
  const output: RecordingOutput = {
    ...{ format, splitMs, fillGaps },
    ...{ hasVideo: video.mode !== 'NONE', hasAudio: audio.mode !== 'NONE' },
  };
  const settings: Settings = {
    ...{ video, audio, output },
    audioChange: changed(wish.audioChange, before?.audioChange, audioChangeFrom),
    videoChange: changed(wish.videoChange, before?.videoChange, videoChangeFrom),
    overlay: changed(wish.overlay, before?.overlay, overlayFrom),
    maxDurationMs: chosen(
      wish.maxDuration == null ? wish.maxDuration : wish.maxDuration * 1000,
      before?.maxDurationMs,
      usualMaxDurationMs,
    ),
  };
  checkWhole(settings, inputType, refuse);
  for (const { field, message } of checkFormat({
    format,
    video,
    audio,
    inputType,
    splitMs,
    fillGaps,
    tracks: input.tracks,
  }))
    refuse(fieldOf[field], message);
  if (issues.length > 0) throw new ValidationError(issues);
  return settings;
}

type Refuse = (field: string, message: string) => void;

function formatOf(preset: SettingsWish['preset']) {
  if (preset === 'HLS') return 'M3U8';
  return preset === 'AUDIO_ONLY' ? 'MP3' : null;
}

const usualTreatment = (mode: VideoTreatment['mode']): VideoTreatment =>
  mode === 'TRANSCODE' ? { mode, ...usualVideo } : { mode };

function videoFrom(wish: VideoWish | null | undefined, before: VideoTreatment, refuse: Refuse): VideoTreatment {
  if (!wish) return before;
  const mode = wish.mode ?? before.mode;
  const { mode: _mode, hardwareDevice: _device, ...given } = wish;
  if (mode !== 'TRANSCODE') {
    for (const [name, value] of Object.entries(given))
      if (value != null) refuse(`transcoding.video.${name}`, 'is for mode TRANSCODE: set that, or leave it out');
    return { mode };
  }
  const was = before.mode === 'TRANSCODE' ? before : usualVideo;
  const of = <Name extends keyof typeof given>(name: Name) => given[name];
  const force = chosen(of('forceKeyFrames'), was.forceKeyFrames ?? 0, usualVideo.forceKeyFrames ?? 0);
  return {
    mode,
    bitrate: chosen(of('bitrate'), was.bitrate, usualVideo.bitrate),
    preset: chosen(of('preset'), was.preset, usualVideo.preset),
    tune: chosen(of('tune'), was.tune, null),
    crf: chosen(of('crf'), was.crf, null),
    pixelFormat: chosen(of('pixelFormat'), was.pixelFormat, null),
    encodingRate: chosen(of('encodingRate'), was.encodingRate, null),
    filterFps: chosen(of('filterFps'), was.filterFps, null),
    gop: chosen(of('gop'), was.gop, null),
    forceKeyFrames: force === 0 ? null : force,
    width: chosen(of('width'), was.width, null),
    height: chosen(of('height'), was.height, null),
    slices: chosen(of('slices'), was.slices, null),
    cores: chosen(of('cores'), was.cores, null),
  };
}

function audioFrom(
  wish: AudioWish | null | undefined,
  before: AudioTreatment,
  usualCodec: AudioCodec,
  refuse: Refuse,
): AudioTreatment {
  if (!wish) return before;
  const mode = wish.mode ?? before.mode;
  const { mode: _mode, ...given } = wish;
  if (mode !== 'TRANSCODE') {
    for (const [name, value] of Object.entries(given))
      if (value != null) refuse(`transcoding.audio.${name}`, 'is for mode TRANSCODE: set that, or leave it out');
    return { mode };
  }
  const codec = chosen(given.codec, before.mode === 'TRANSCODE' ? before.codec : undefined, usualCodec);
  const was = before.mode === 'TRANSCODE' && before.codec === codec ? before : undefined;
  const bitrate = chosen(given.bitrate, was?.bitrate, usualAudio('MP4').bitrate);
  const sampleRate = chosen(given.sampleRate, was?.sampleRate, usualSampleRate(codec));
  const [least, most] = audioRates[codec];
  if (bitrate < least || bitrate > most)
    refuse(
      'transcoding.audio.bitrate',
      `must be from ${least.toLocaleString('en')} to ${most.toLocaleString('en')} bit/s for ${codec}`,
    );
  return { mode, codec, bitrate, sampleRate };
}

function splitFrom(wish: SettingsWish, before: number | null | undefined, refuse: Refuse): number | null {
  const { splitEvery, preset } = wish;
  const { hours, minutes, seconds } = splitEvery ?? {};
  const total = (hours ?? 0) * 3_600 + (minutes ?? 0) * 60 + (seconds ?? 0);
  const isSplit = before !== undefined ? before !== null : preset === 'SEGMENTED';
  const mode = wish.mode ?? (total > 0 || isSplit ? 'SPLIT_BY_TIME' : 'CONTINUOUS');
  if (mode === 'CONTINUOUS') {
    if (total > 0) refuse('splitEvery', 'is for mode SPLIT_BY_TIME: set that, or leave it out');
    return null;
  }
  if (!splitEvery) {
    if (before) return before;
    if (preset === 'SEGMENTED') return usualSplitMs;
    refuse('splitEvery', 'is missing: say how long each file is to be');
    return null;
  }
  if (total === 0) refuse('splitEvery', 'is 0 hours, 0 minutes and 0 seconds: a file must be at least 1 second long');
  if (total > longestSplitSeconds) refuse('splitEvery', 'must be at most 24 hours together');
  return total * 1000;
}

const changed = <Wish, Value>(
  wish: Wish | null | undefined,
  before: Value | null | undefined,
  make: (wish: Wish) => Value | null,
): Value | null => (wish === undefined ? (before ?? null) : wish === null ? null : make(wish));

/** Null for what changes nothing. */
function audioChangeFrom(wish: NonNullable<SettingsWish['audioChange']>): AudioChange | null {
  const { track, channels, downmix, gain } = wish;
  if (!track && !channels && !downmix && !gain) return null;
  return { track: track ?? 0, channels: channels ?? null, downmix: downmix ?? null, gain: gain ?? 0 };
}

function videoChangeFrom({ deinterlace, crop, rotate, scale, fps }: VideoChangeWish): VideoChange | null {
  if (!deinterlace && !crop && !rotate && !scale && fps == null) return null;
  return {
    ...{ deinterlace: deinterlace ?? false, crop: crop ?? null, rotate: rotate ?? 0, scale: scale ?? null },
    fps: fps ?? null,
  };
}

function overlayFrom({ x, y, opacity, text, size, color, image }: OverlayWish): Overlay {
  const content: Overlay['content'] =
    image != null
      ? { kind: 'IMAGE', image: Buffer.from(image).toString('base64') }
      : { kind: 'TEXT', text: text ?? '', size: size ?? 32, color: (color ?? 'ffffff').replace('#', '').toLowerCase() };
  return { x: x ?? 1, y: y ?? 1, opacity: opacity ?? 1, content };
}

/** What goes together only in some ways, whatever the format is. */
function checkWhole({ video, audio, audioChange, videoChange, overlay }: Settings, type: InputType, refuse: Refuse) {
  const isPage = type === 'ROOM';
  const asIs = 'needs the picture to be encoded: set transcoding.video.mode to TRANSCODE';
  for (const [field, value] of Object.entries({ videoChange, overlay })) {
    if (!value) continue;
    if (isPage) refuse(field, 'is not for a room: its page is recorded as it is arranged');
    else if (video.mode === 'NONE') refuse(field, 'changes the picture, which is left out');
    else if (video.mode === 'COPY') refuse(field, asIs);
  }
  if (!audioChange) return;
  const { channels, downmix, gain } = audioChange;
  if (isPage) refuse('audioChange', 'is not for a room: its page is recorded as it sounds');
  else if (audio.mode === 'NONE') refuse('audioChange', 'changes the sound, which is left out');
  else if (audio.mode === 'COPY' && (channels || downmix || gain))
    refuse('audioChange', 'needs the sound to be encoded: set transcoding.audio.mode to TRANSCODE');
}
