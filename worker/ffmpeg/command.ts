/** How programs that capture are called, the encoder above all: from typed values only, no word of a client becomes an option or a filter. */
import { strangerEnvironment } from '../../src/config.js';
import { maximalVideoRate, needsFastEncoding, soundRate } from '../../src/jobs/bitrate.js';
import type { PictureEncoding, SoundEncoding } from '../../src/jobs/capture.js';
import { publishedTracks } from '../publishing/tracks.js';
import { forcedKeyFrames } from './key-frames.js';

/** What is captured, and with which geometry. */
export interface CaptureInput {
  /** X display, such as `:7`. */
  display: string;
  /** Authority file of the display. */
  authority: string;
  /** PULSE_SERVER. */
  soundServer: string;
  /** PulseAudio source to record. */
  soundSource: string;
  /** Pixels, even. */
  width: number;
  height: number;
  /** Frames per second. */
  fps: number;
  /** Left out: as good as the machine can. */
  encoding?: PictureEncoding | undefined;
  /** How the sound is encoded; left out or null: as everywhere. */
  sound?: SoundEncoding | null;
  /** Length of the files that it is cut into, milliseconds; left out or null: it is not. */
  splitMs?: number | null;
}

/** The environment of a program that reads them. `home`: a folder that its sound client may use. */
export const captureEnvironment = (
  { soundServer, authority }: Pick<CaptureInput, 'soundServer' | 'authority'>,
  home: string,
): NodeJS.ProcessEnv =>
  strangerEnvironment({ HOME: home, XDG_RUNTIME_DIR: home, PULSE_SERVER: soundServer, XAUTHORITY: authority });

export interface PartOutput {
  /** Name in the encoder's working folder; must not exist. */
  file: string;
  /** File for ffmpeg's `-progress` reports. */
  progressFile: string;
  /** Media time after which the encoder ends by itself. */
  limitMs: number;
  /** UDP port on 127.0.0.1 that everything is sent to as RTP too, to be seen without delay; null: it is only kept. */
  rtpPort: number | null;
}

export const progressIntervalMs = 500;

// Raw pictures that wait for an encoder that is late: 2.3 s of 720p30. A machine that is too slow for good would else fill
// its memory with them (1024 pictures are 3.8 GB); so it grabs fewer, and those that are missing count as duplicates.
const queuedBytes = 256 * 1_048_576;
const fewestQueuedPictures = 8;

/** Arguments that capture screen and sound into one append-only Matroska file. Throws RangeError for a size that H.264 4:2:0 cannot have. */
export function pagePartArguments(input: CaptureInput, output: PartOutput): string[] {
  const { width, height, fps } = input;
  for (const [name, pixels] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (!Number.isInteger(pixels) || pixels < 2 || pixels % 2 !== 0) {
      throw new RangeError(`The ${name} is ${pixels} pixels; an even number is needed.`);
    }
  }
  const rate = maximalVideoRate(input);
  // Probing would only delay the first frame: both devices are raw and known.
  const immediate = ['-probesize', '32', '-analyzeduration', '0', '-thread_queue_size'];
  const pictures = Math.max(fewestQueuedPictures, Math.floor(queuedBytes / (width * height * 4)));
  return [
    ...['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'info', '-n'],
    ...['-progress', `file:${output.progressFile}`, '-stats_period', `${progressIntervalMs / 1000}`],
    // Sound first: it decides when media time begins, so no picture is grabbed before sound is there.
    ...['-f', 'pulse', ...immediate, '1024', '-fragment_size', '3840', '-i', input.soundSource],
    // Both devices stamp wall-clock time; without this each input would be moved to zero by itself (-248 ms between them).
    ...['-isync', '0', '-f', 'x11grab', ...immediate, `${pictures}`, '-draw_mouse', '0', '-framerate', `${fps}`],
    ...['-video_size', `${width}x${height}`, '-i', input.display],
    ...['-map', '1:v', '-map', '0:a', '-t', (output.limitMs / 1000).toFixed(3)],
    // Constant rate: pictures fill the part from its very beginning, and late ones are counted as duplicates.
    ...['-fps_mode', 'cfr', '-c:v', 'libx264', '-pix_fmt', 'yuv420p'],
    ...['-ar', `${input.sound?.sampleRate ?? 48_000}`, '-ac', `${input.sound?.channels ?? 2}`],
    ...['-af', 'aresample=async=1000'],
    ...(output.rtpPort === null ? kept(input, rate, output.file) : sent(input, rate, output.file, output.rtpPort)),
  ];
}

// A killed encoder loses at most the open cluster.
const partOptions = { cluster_time_limit: 250, flush_packets: 1 };

/** Encodes for a file: as good as the machine can. */
function kept(input: CaptureInput, rate: number, file: string): string[] {
  const preset = needsFastEncoding(input) ? 'ultrafast' : 'veryfast';
  const { quality, bitrate, gop, profile } = { quality: 23, bitrate: rate, gop: 2, profile: null, ...input.encoding };
  return [
    ...['-preset', preset, '-crf', `${quality}`, '-maxrate', `${bitrate}`, '-bufsize', `${bitrate * 2}`],
    ...(profile ? ['-profile:v', profile] : []),
    ...forcedKeyFrames(null, input.splitMs ?? null),
    ...['-g', `${Math.round(input.fps * gop)}`, '-c:a', 'aac', '-b:a', `${input.sound?.bitrate ?? soundRate}`],
    ...['-f', 'matroska', ...Object.entries(partOptions).flatMap(([name, value]) => [`-${name}`, `${value}`])],
    `file:${file}`,
  ];
}

/** Encodes for people who look at it now: without delay, for every browser, and with a key frame each second for who comes later. */
function sent(input: CaptureInput, rate: number, file: string, port: number): string[] {
  const options = Object.entries(partOptions).map(([name, value]) => `${name}=${value}`);
  const rtp = (stream: 'v' | 'a', { payloadType, ssrc }: { payloadType: number; ssrc: number }, more = '') =>
    `[select=${stream}:f=rtp:payload_type=${payloadType}:ssrc=${ssrc}${more}:onfail=ignore]rtp://127.0.0.1:${port}?pkt_size=1200`;
  return [
    ...['-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline', '-b:v', `${rate}`],
    ...['-maxrate', `${rate}`, '-bufsize', `${Math.round(rate / 2)}`, '-g', `${input.fps}`],
    ...['-c:a', 'libopus', '-b:a', '96k', '-frame_duration', '20', '-application', 'lowdelay'],
    // Matroska wants them once, in front; the packets that are sent get them back.
    ...['-flags', '+global_header', '-f', 'tee'],
    [
      `[f=matroska:${options.join(':')}]${file}`,
      rtp('v', publishedTracks.picture, ':bsfs/v=dump_extra'),
      rtp('a', publishedTracks.sound),
    ].join('|'),
  ];
}
