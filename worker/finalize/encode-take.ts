/** Encodes what a participant has sent, or takes one picture of several, into another Matroska file with the same times. */
import type { PeopleEncoding, SoundEncoding } from '../../src/jobs/capture.js';
import { forcedKeyFrames } from '../ffmpeg/key-frames.js';
import { probeHead } from '../ffmpeg/probe.js';
import { type MediaTools, runTool } from '../ffmpeg/run.js';
import type { Take } from './people-sets.js';

/** `copy`: as it was sent. An encoding without a size keeps that of the first picture. */
export interface TakeTreatment {
  picture: 'copy' | (Omit<PeopleEncoding, 'width' | 'height' | 'fps'> & Partial<PeopleEncoding>);
  sound: 'copy' | (SoundEncoding & { codec: 'aac' | 'libmp3lame' });
}

// One second of 720p takes 0.6 s of a core; a busy machine may be ten times as slow.
const startLimitMs = 60_000;
const slowest = 10;
const keySeconds = 2;

export interface EncodeOptions {
  tools: MediaTools;
  signal?: AbortSignal;
  onBeat: () => void;
}

/** Throws ToolError, or the signal's reason. */
export async function encodeTake(
  take: Take,
  treatment: TakeTreatment,
  output: string,
  { tools, signal, onBeat }: EncodeOptions,
): Promise<void> {
  const { track } = take;
  const size =
    take.picture === null || treatment.picture === 'copy'
      ? null
      : await sizeFor(track.file, treatment.picture, { ffprobe: tools.ffprobe, signal, onBeat });
  const args = [
    ...['-hide_banner', '-nostdin', '-v', 'error', '-y', '-copyts', '-i', `file:${track.file}`],
    ...(take.picture === null ? ['-vn'] : ['-map', `0:v:${take.picture}`, ...picture(treatment.picture, size)]),
    ...(take.hasSound ? ['-map', '0:a:0?', ...sound(treatment.sound)] : ['-an']),
    ...['-map_metadata', '-1', '-max_interleave_delta', '1000000', '-f', 'matroska', '-cluster_time_limit', '1000'],
    `file:${output}`,
  ];
  const lengthMs = Math.max(0, track.lastWrittenAt - (track.zeroAt ?? track.lastWrittenAt));
  await runTool(tools.ffmpeg, args, {
    timeLimitMs: startLimitMs + slowest * lengthMs,
    ...{ signal, onBeat },
  });
}

interface Pixels {
  width: number;
  height: number;
}

/** Even, because the video format halves the picture for colour. */
async function sizeFor(
  file: string,
  { width, height }: Partial<Pixels>,
  probing: { ffprobe: string; signal?: AbortSignal | undefined; onBeat: () => void },
): Promise<Pixels> {
  if (width && height) return { width, height };
  const { video } = await probeHead(file, probing);
  const even = (pixels: number | undefined) => Math.max(2, 2 * Math.round((pixels ?? 0) / 2));
  return { width: even(video?.width), height: even(video?.height) };
}

function picture(treatment: TakeTreatment['picture'], size: Pixels | null): string[] {
  if (treatment === 'copy' || !size) return ['-c:v', 'copy'];
  const { width, height } = size;
  const { bitrate, fps } = treatment;
  const filters = [
    ...(fps ? [`fps=${fps}`] : []),
    // Browsers send smaller pictures while their connection is slow.
    `scale=${width}:${height}:force_original_aspect_ratio=decrease:force_divisible_by=2`,
    `pad=${width}:${height}:-1:-1,setsar=1`,
  ];
  return [
    ...['-vf', filters.join(','), '-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p'],
    ...['-b:v', `${bitrate}`, '-maxrate', `${bitrate}`, '-bufsize', `${bitrate * 2}`],
    // In whole frames two pictures at one time would make all that follow late.
    ...(fps ? [] : ['-fps_mode', 'passthrough', '-enc_time_base', '1:1000']),
    ...forcedKeyFrames(keySeconds, null),
  ];
}

function sound(treatment: TakeTreatment['sound']): string[] {
  if (treatment === 'copy') return ['-c:a', 'copy'];
  const { codec, bitrate, sampleRate, channels } = treatment;
  // Packets that a network lost leave holes: they become silence, so that sound and picture stay together.
  const encoding = ['-c:a', codec, '-b:a', `${bitrate}`, '-ar', `${sampleRate}`, '-ac', `${channels}`];
  return [...encoding, '-af', 'aresample=async=1000'];
}
