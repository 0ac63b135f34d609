/** What a media file is: read from its header, and where the header is unfinished, from its packets. */
import { type RunOptions, runTool } from './run.js';

export interface VideoFacts {
  codec: string;
  profile: string | null;
  /** Pixels. */
  width: number;
  height: number;
  pixelFormat: string;
  /** Width of a pixel to its height, such as `1:1`, where it is said. */
  pixelShape?: string;
  /** How many pictures a decoder holds back, since some are stored before others that are shown earlier. */
  heldBack?: number;
  /** Average frames per second. */
  fps: number;
  /** Where the container counts them. */
  frames: number | null;
  /** Where the container says it. */
  durationMs: number | null;
}

export interface AudioFacts {
  codec: string;
  /** Hertz. */
  sampleRate: number;
  channels: number;
}

export interface MediaFacts {
  /** The container as ffprobe names it, such as `matroska,webm`. */
  format: string;
  /** Length of the longest stream. */
  durationMs: number;
  /** False: the writer was killed before it could finish the header. */
  closed: boolean;
  /** Null where the file has none. */
  video: VideoFacts | null;
  audio: AudioFacts | null;
}

export interface ProbeOptions extends Pick<RunOptions, 'signal' | 'onBeat'> {
  ffprobe: string;
  timeLimitMs?: number;
}

/** The times of one stream's packets, milliseconds on the file's own clock. */
export interface StreamTimes {
  packets: number;
  firstMs: number;
  /** Null: no packet can be decoded by itself. */
  firstKeyMs: number | null;
  /** Where the last packet ends. */
  endMs: number;
}

export interface PacketTimes {
  video: StreamTimes | null;
  audio: StreamTimes | null;
}

// Reading a header takes 50 ms; the rest is for a machine under load.
const headerLimitMs = 30_000;
// Packets are read without decoding: about 1 s for an hour of recording.
const packetsLimitMs = 300_000;

/**
 * Reads the facts of a file. A Matroska file whose writer was killed has no duration in its header: it is then measured
 * from the packets. Throws ToolError when the file is no media or the time limit (30 s for the header) passes.
 */
export async function probe(file: string, options: ProbeOptions): Promise<MediaFacts> {
  const facts = await probeHead(file, options);
  const durationMs = facts.durationMs ?? longest(await packetTimes(file, options));
  return { ...facts, durationMs, closed: facts.durationMs !== null };
}

/** What the header alone says: no length where its writer was killed. Throws ToolError. */
export async function probeHead(
  file: string,
  options: ProbeOptions,
): Promise<Pick<MediaFacts, 'format' | 'video' | 'audio'> & { durationMs: number | null }> {
  const lines: string[] = [];
  await runTool(options.ffprobe, ['-v', 'error', '-show_format', '-show_streams', '-of', 'json', `file:${file}`], {
    ...options,
    timeLimitMs: options.timeLimitMs ?? headerLimitMs,
    onLine: (line) => lines.push(line),
  });
  const { format, streams = [] } = JSON.parse(lines.join('\n')) as ProbeOutput;
  const video = streams.find((stream) => stream.codec_type === 'video');
  const audio = streams.find((stream) => stream.codec_type === 'audio');
  return {
    format: format?.format_name ?? 'unknown',
    durationMs: milliseconds(format?.duration),
    video: video ? videoFacts(video) : null,
    audio: audio
      ? { codec: audio.codec_name ?? 'unknown', sampleRate: Number(audio.sample_rate), channels: audio.channels ?? 0 }
      : null,
  };
}

/** Measures first and last packets by reading the whole file without decoding it. Throws ToolError. */
export async function packetTimes(file: string, options: ProbeOptions): Promise<PacketTimes> {
  const times: PacketTimes = { video: null, audio: null };
  await readPackets(file, options, ({ kind, startMs, endMs, isKey }) => {
    const seen = times[kind];
    if (!seen) {
      times[kind] = { packets: 1, firstMs: startMs, firstKeyMs: isKey ? startMs : null, endMs };
      return;
    }
    seen.packets++;
    seen.firstMs = Math.min(seen.firstMs, startMs);
    if (isKey) seen.firstKeyMs ??= startMs;
    seen.endMs = Math.max(seen.endMs, endMs);
  });
  return times;
}

/**
 * The pictures that can be kept when a file is cut at `cutMs`, counted from its first key frame: those stored before the
 * first one that is shown at or after the cut, since none of them needs a later one to be decoded.
 */
export async function picturesBefore(
  file: string,
  cutMs: number,
  options: ProbeOptions,
): Promise<{ pictures: number; endMs: number }> {
  let pictures = 0;
  let lastMs = 0;
  let reached = false;
  await readPackets(file, options, ({ kind, startMs, endMs, isKey }) => {
    if (kind !== 'video' || reached || (pictures === 0 && !isKey)) return;
    reached = startMs >= cutMs;
    if (reached) return;
    pictures++;
    lastMs = Math.max(lastMs, endMs);
  });
  return { pictures, endMs: lastMs };
}

interface Packet {
  kind: 'video' | 'audio';
  startMs: number;
  endMs: number;
  isKey: boolean;
}

/** Packets in the order in which they are stored. */
async function readPackets(file: string, options: ProbeOptions, onPacket: (packet: Packet) => void): Promise<void> {
  const args = ['-v', 'error', '-show_entries', 'packet=codec_type,pts_time,duration_time,flags', '-of', 'csv=p=0'];
  await runTool(options.ffprobe, [...args, `file:${file}`], {
    ...options,
    timeLimitMs: options.timeLimitMs ?? packetsLimitMs,
    onLine: (line) => {
      const [kind, time, duration, flags] = line.split(',');
      const startMs = milliseconds(time);
      if ((kind !== 'video' && kind !== 'audio') || startMs === null) return;
      onPacket({
        kind,
        startMs,
        endMs: startMs + (milliseconds(duration) ?? 0),
        isKey: flags?.startsWith('K') ?? false,
      });
    },
  });
}

interface ProbeStream {
  codec_type?: string;
  codec_name?: string;
  profile?: string;
  width?: number;
  height?: number;
  pix_fmt?: string;
  sample_aspect_ratio?: string;
  has_b_frames?: number;
  avg_frame_rate?: string;
  nb_frames?: string;
  duration?: string;
  sample_rate?: string;
  channels?: number;
}

interface ProbeOutput {
  format?: { format_name?: string; duration?: string };
  streams?: ProbeStream[];
}

function videoFacts(stream: ProbeStream): VideoFacts {
  const [frames = 0, perSeconds = 1] = (stream.avg_frame_rate ?? '0/1').split('/').map(Number);
  return {
    codec: stream.codec_name ?? 'unknown',
    profile: stream.profile ?? null,
    width: stream.width ?? 0,
    height: stream.height ?? 0,
    pixelFormat: stream.pix_fmt ?? 'unknown',
    ...(stream.sample_aspect_ratio ? { pixelShape: stream.sample_aspect_ratio } : {}),
    ...(stream.has_b_frames ? { heldBack: stream.has_b_frames } : {}),
    fps: perSeconds > 0 ? frames / perSeconds : 0,
    frames: stream.nb_frames === undefined ? null : Number(stream.nb_frames),
    durationMs: milliseconds(stream.duration),
  };
}

function longest({ video, audio }: PacketTimes): number {
  const starts = [video?.firstMs, audio?.firstMs].filter((time) => time !== undefined);
  if (starts.length === 0) return 0;
  return Math.max(video?.endMs ?? 0, audio?.endMs ?? 0) - Math.min(...starts);
}

function milliseconds(seconds: string | undefined): number | null {
  const value = Number.parseFloat(seconds ?? '');
  return Number.isFinite(value) ? Math.round(value * 1e6) / 1e3 : null;
}
