/** Makes a finished recording playable in several qualities: HLS, one file of media for each, with the pieces as byte ranges of it. */
import { open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlaybackProfile } from '../../src/rooms/profiles.js';
import { masterName, renditionMedia, renditionPlaylist } from '../../src/rooms/renditions.js';
import { probe, type VideoFacts } from '../ffmpeg/probe.js';
import { parseProgress } from '../ffmpeg/progress.js';
import { type MediaTools, runTool } from '../ffmpeg/run.js';

const pieceSeconds = 4;
const keySeconds = 2;
const sameShape = 0.01;
/**
 * A quarter of the hour that finalizing may take: the file to download waits for it. 720p takes 0.6 s of one core for each
 * second and is copied where it can be.
 */
const encodeLimitMs = 720_000;
const copyLimitMs = 180_000;
/** Where the box with the codec's settings is found, at the file's beginning. */
const headBytes = 4_096;

export interface Rendition {
  name: string;
  playlist: string;
  media: string;
  width: number;
  height: number;
  durationMs: number;
  pieces: number;
  bytes: number;
  /** The recording's own pictures, not encoded again. */
  isCopy: boolean;
}

export interface RenditionsOptions {
  /** The recording, mp4. */
  file: string;
  profiles: readonly PlaybackProfile[];
  /** Nothing is encoded: there is one rendition, the recording as it is. */
  asIs?: boolean;
  /** Where the files go; must exist. */
  folder: string;
  tools: MediaTools;
  signal?: AbortSignal;
  /** 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/**
 * Writes a playlist and a media file for each profile that is not larger than the recording, and the master playlist. One run
 * of ffmpeg decodes the recording once for all. Null where there is no picture. Throws ToolError, what the disk throws, Error where a
 * file is not whole, or the signal's reason.
 */
export async function makeRenditions(
  options: RenditionsOptions,
): Promise<{ master: string; renditions: Rendition[] } | null> {
  const { file, folder, tools, signal, onProgress } = options;
  const source = await probe(file, { ffprobe: tools.ffprobe, signal });
  if (!source.video) return null;
  const ladder = ladderFor(options.profiles, source.video);
  const steps = options.asIs ? asItIs(ladder) : planOf(ladder, source.video);
  let unread = '';
  await runTool(tools.ffmpeg, renditionArguments(file, folder, steps, source.video, source.audio !== null), {
    timeLimitMs: options.asIs ? copyLimitMs : encodeLimitMs,
    ...(signal ? { signal } : {}),
    onLine: (line) => {
      const { reports, rest } = parseProgress(`${unread}${line}\n`);
      unread = rest;
      const last = reports.at(-1);
      if (last) onProgress?.(Math.min(1, last.positionMs / source.durationMs));
    },
  });
  const made = await Promise.all(steps.map((step) => measure(step, folder, tools, signal)));
  const master = join(folder, masterName);
  await writeFile(master, masterPlaylist(made));
  return { master, renditions: made.map(({ rendition }) => rendition) };
}

/** Those that are not larger than the source; the smallest where all are. From the smallest to the largest. */
export function ladderFor(profiles: readonly PlaybackProfile[], source: VideoFacts): PlaybackProfile[] {
  const sorted = [...profiles].sort((a, b) => a.width * a.height - b.width * b.height || a.bitrate - b.bitrate);
  const fitting = sorted.filter(({ width, height }) => width <= source.width || height <= source.height);
  return fitting.length > 0 ? fitting : sorted.slice(0, 1);
}

interface Step {
  profile: PlaybackProfile;
  isCopy: boolean;
  /** Null: every picture of the source. */
  fps: number | null;
}

/**
 * What has the source's size is copied: that is the most expensive one, and would only be worse. Its key frames are the
 * source's then, and those of all others follow them. Where any rendition has a rate of its own, all are encoded, since key
 * frames of a source that loses pictures are not to be relied on.
 */
function planOf(ladder: readonly PlaybackProfile[], source: VideoFacts): Step[] {
  const steps = ladder.map((profile) => ({
    profile,
    fps: profile.fps > 0 && profile.fps < source.fps ? profile.fps : null,
    isCopy: false,
  }));
  const largest = steps.at(-1);
  const isPlain = source.codec === 'h264' && steps.every(({ fps }) => fps === null);
  if (isPlain && largest?.profile.width === source.width && largest.profile.height === source.height)
    largest.isCopy = true;
  return steps;
}

const asItIs = (ladder: readonly PlaybackProfile[]): Step[] =>
  ladder.slice(-1).map((profile) => ({ profile, isCopy: true, fps: null }));

/** A picture of another shape keeps its own; one that differs by less than a hundredth, as of rounding, does not. */
function pixelsOf({ width, height }: PlaybackProfile, source: VideoFacts): { width: number; height: number } {
  const [across, down] = [width / source.width, height / source.height];
  if (Math.abs(across / down - 1) < sameShape) return { width, height };
  const scale = Math.min(across, down);
  const even = (pixels: number) => Math.max(2, 2 * Math.round((pixels * scale) / 2));
  return { width: even(source.width), height: even(source.height) };
}

function renditionArguments(
  file: string,
  folder: string,
  steps: readonly Step[],
  source: VideoFacts,
  hasSound: boolean,
): string[] {
  const encoded = steps.filter(({ isCopy }) => !isCopy);
  const asSource = steps.every(({ fps }) => fps === null);
  const keys = asSource ? 'source' : `expr:gte(t,n_forced*${keySeconds})`;
  const graph = [
    `[0:v]split=${encoded.length}${encoded.map((_, index) => `[s${index}]`).join('')}`,
    ...encoded.map(({ profile, fps }, index) => {
      const { width, height } = pixelsOf(profile, source);
      const rate = fps === null ? '' : `fps=${fps},`;
      return `[s${index}]${rate}scale=${width}:${height},setsar=1[v${index}]`;
    }),
  ].join(';');
  const sound = hasSound ? ['-map', '0:a', '-c:a', 'copy'] : [];
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'error', '-y', '-progress', 'pipe:1'],
    ...['-i', `file:${file}`],
    ...(encoded.length > 0 ? ['-filter_complex', graph] : []),
    ...steps.flatMap((step) => {
      const { profile } = step;
      const index = encoded.indexOf(step);
      const { bitrate } = profile;
      const video = step.isCopy
        ? ['-map', '0:v', '-c:v', 'copy']
        : [
            ...['-map', `[v${index}]`, '-c:v', 'libx264', '-preset', 'veryfast', '-crf', '23', '-pix_fmt', 'yuv420p'],
            ...['-maxrate', `${bitrate}`, '-bufsize', `${bitrate * 2}`, '-sc_threshold', '0', '-g', '600'],
            ...['-force_key_frames', keys, '-fps_mode', 'passthrough'],
          ];
      return [
        ...[...video, ...sound, '-f', 'hls', '-hls_segment_type', 'fmp4', '-hls_flags', 'single_file'],
        ...['-hls_time', `${pieceSeconds}`, '-hls_playlist_type', 'vod', '-hls_list_size', '0'],
        ...['-hls_segment_filename', join(folder, renditionMedia(profile.name))],
        join(folder, renditionPlaylist(profile.name)),
      ];
    }),
  ];
}

interface Measured {
  rendition: Rendition;
  codecs: string;
  /** Of the largest piece, bits per second, and of all together. */
  peak: number;
  average: number;
}

async function measure(
  { profile: { name }, isCopy }: Step,
  folder: string,
  tools: MediaTools,
  signal?: AbortSignal,
): Promise<Measured> {
  const playlist = join(folder, renditionPlaylist(name));
  const media = join(folder, renditionMedia(name));
  const text = await readFile(playlist, 'utf8');
  const found = [...text.matchAll(/#EXTINF:([\d.]+),\s*\n#EXT-X-BYTERANGE:(\d+)@(\d+)/g)];
  const pieces = found.map(([, seconds, bytes]) => ({ seconds: Number(seconds), bytes: Number(bytes) }));
  const total = pieces.reduce((sum, { seconds }) => sum + seconds, 0);
  const { size } = await stat(media);
  // ffmpeg ends well though the disk was full.
  const endsAt = Math.max(0, ...found.map(([, , bytes, from]) => Number(bytes) + Number(from)));
  if (pieces.length === 0 || endsAt > size || !text.includes('#EXT-X-ENDLIST'))
    throw new Error(`${media} is not whole: it has ${size} bytes of ${endsAt}. Is there room on the disk?`);
  const facts = await probe(media, { ffprobe: tools.ffprobe, ...(signal ? { signal } : {}) });
  const { width = 0, height = 0 } = facts.video ?? {};
  return {
    rendition: {
      ...{ name, playlist, media, width, height, isCopy, pieces: pieces.length, bytes: size },
      durationMs: Math.round(total * 1_000),
    },
    codecs: [await videoCodec(media), ...(facts.audio ? ['mp4a.40.2'] : [])].join(','),
    // A last piece of a few pictures says nothing about the rate.
    peak: Math.max(...pieces.map(({ seconds, bytes }) => (bytes * 8) / Math.max(1, seconds))),
    average: (size * 8) / Math.max(0.1, total),
  };
}

/** Profile and level as players want to know them before they load anything. */
async function videoCodec(media: string): Promise<string> {
  const handle = await open(media);
  try {
    const { buffer } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    const at = buffer.indexOf('avcC');
    if (at < 0) throw new Error(`${media} does not begin with the settings of H.264, as was expected.`);
    return `avc1.${buffer.toString('hex', at + 5, at + 8)}`;
  } finally {
    await handle.close();
  }
}

function masterPlaylist(made: readonly Measured[]): string {
  // The first is what most players begin with: one in the middle starts soon and looks well.
  const order = [...made].sort((a, b) => a.rendition.width - b.rendition.width);
  const [first] = order.splice(Math.floor(order.length / 2), 1);
  return [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    '#EXT-X-INDEPENDENT-SEGMENTS',
    ...[...(first ? [first] : []), ...order].flatMap(({ rendition, codecs, peak, average }) => [
      `#EXT-X-STREAM-INF:BANDWIDTH=${Math.ceil(peak)},AVERAGE-BANDWIDTH=${Math.ceil(average)},` +
        `RESOLUTION=${rendition.width}x${rendition.height},CODECS="${codecs}"`,
      renditionPlaylist(rendition.name),
    ]),
    '',
  ].join('\n');
}
