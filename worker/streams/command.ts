/** How ffmpeg is called to record a live input into one append-only part: from typed values only. */
import type { AudioCodec, AudioTreatment, RecordingConfig, VideoTreatment } from '../../src/recordings/config.js';
import { forcedKeyFrames } from '../ffmpeg/key-frames.js';
import { audioFilters, overlayFiles, pictureGraph, videoFilters } from './filters.js';
import type { OpenInput } from './open-input.js';

const progressIntervalMs = 500;

export interface StreamPartOutput {
  /** Name in the encoder's working folder; must not exist. */
  file: string;
  /** Of ffmpeg's reports, there too. */
  progressFile: string;
  /** Media time after which the encoder ends by itself. */
  limitMs: number;
}

const encoders: Record<AudioCodec, string> = {
  AAC: 'aac',
  MP3: 'libmp3lame',
  OPUS: 'libopus',
  AC3: 'ac3',
  PCM: 'pcm_s16le',
};

// The next cluster of an input that has lost its sound, or its picture, is not held back for it: a crash would lose it.
const longestInterleaveMicroseconds = 1_000_000;

// As Matroska has them. In whole frames, ffmpeg's own choice, two pictures at one time, where a sender began anew, would make
// all that follow late by a frame for good.
const pictureTimes = '1:1000';

export function streamPartArguments(
  input: Pick<OpenInput, 'args' | 'pictureFilter'>,
  config: RecordingConfig,
  output: StreamPartOutput,
): string[] {
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'warning', '-n'],
    ...['-progress', `file:${output.progressFile}`, '-stats_period', `${progressIntervalMs / 1000}`],
    ...input.args,
    ...(config.overlay?.content.kind === 'IMAGE' && config.video.mode === 'TRANSCODE'
      ? ['-i', `file:${overlayFiles.image}`]
      : []),
    ...picture(config, input.pictureFilter),
    ...sound(config),
    ...['-t', (output.limitMs / 1000).toFixed(3), '-map_metadata', '-1', '-map_chapters', '-1'],
    ...['-f', 'matroska', '-max_interleave_delta', `${longestInterleaveMicroseconds}`],
    // A killed encoder loses at most the open cluster.
    ...['-cluster_time_limit', '250', '-flush_packets', '1', `file:${output.file}`],
  ];
}

function picture(config: RecordingConfig, filter: string | null): string[] {
  const { video, overlay } = config;
  if (video.mode === 'NONE') return ['-vn'];
  if (video.mode === 'COPY') return ['-map', '0:v:0', '-c:v', 'copy', ...(filter ? ['-bsf:v', filter] : [])];
  const filters = videoFilters(config);
  // Without a graph ffmpeg goes on when the size of the source's pictures changes.
  const mapped =
    overlay || filters.length > 0
      ? ['-filter_complex', pictureGraph('0:v:0', config, '1:v:0'), '-map', '[picture]']
      : ['-map', '0:v:0'];
  return [...mapped, ...encoding(video, config.output.splitMs)];
}

function encoding(video: Extract<VideoTreatment, { mode: 'TRANSCODE' }>, splitMs: number | null): string[] {
  const { bitrate, preset, tune, crf, pixelFormat, encodingRate, gop, slices, cores } = video;
  const rate = ['-maxrate', `${bitrate}`, '-bufsize', `${bitrate * 2}`];
  return [
    ...['-c:v', 'libx264', '-preset', preset, ...(tune ? ['-tune', tune] : [])],
    ...(crf === null ? ['-b:v', `${bitrate}`, ...rate] : ['-crf', `${crf}`, ...rate]),
    ...['-pix_fmt', pixelFormat ?? 'yuv420p'],
    ...(encodingRate ? ['-r', `${encodingRate}`] : ['-enc_time_base', pictureTimes]),
    ...(gop ? ['-g', `${gop}`] : []),
    ...forcedKeyFrames(video.forceKeyFrames, splitMs),
    ...(slices ? ['-slices', `${slices}`] : []),
    ...(cores ? ['-threads', `${cores}`] : []),
  ];
}

function sound({ audio, audioChange, video }: RecordingConfig): string[] {
  if (audio.mode === 'NONE') return ['-an'];
  const track = audioChange?.track ?? 0;
  // An input without sound is recorded as it is, unless sound is all there is to be, or this very track was asked for.
  const isOptional = video.mode !== 'NONE' && track === 0;
  const mapped = ['-map', `0:a:${track}${isOptional ? '?' : ''}`];
  return [...mapped, ...(audio.mode === 'COPY' ? ['-c:a', 'copy'] : soundEncoding(audio, audioChange))];
}

function soundEncoding(
  audio: Extract<AudioTreatment, { mode: 'TRANSCODE' }>,
  change: RecordingConfig['audioChange'],
): string[] {
  const { codec, bitrate, sampleRate } = audio;
  return [
    ...['-c:a', encoders[codec], ...(codec === 'PCM' ? [] : ['-b:a', `${bitrate}`]), '-ar', `${sampleRate}`],
    ...['-af', audioFilters(change, audio).join(',')],
  ];
}
