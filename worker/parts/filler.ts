/** Black pictures and silence like those of a part, to be put where nothing was recorded. */
import { join } from 'node:path';
import { type MediaTools, runTool } from '../ffmpeg/run.js';
import type { Facts, MeasuredPart } from './measure.js';
import { freeSetNumber, lengthBytes, mergedH264, setsInBand } from './parameter-sets.js';
import { blocksIn, type Kind, openPartFile, type Track } from './part-file.js';
import { type NewBlock, writeCluster } from './stretch.js';

export interface Filler {
  /** What a decoder must know of the pictures of both; as the part's own where there are none, or nothing is to be known. */
  setup: Buffer | null;
  write(gap: FilledGap): Generator<Buffer, void>;
  /** How long one block of silence is, milliseconds; null where there is no sound. */
  soundMs: number | null;
  /** So many blocks of silence from a time on. */
  silence(fromMs: number, blocks: number): Generator<Buffer, void>;
}

export interface FilledGap {
  /** From where to where in the stream, milliseconds. */
  fromMs: number;
  toMs: number;
  /** Where sound is missing. */
  sound: { fromMs: number; toMs: number };
  /** What a decoder must know of the pictures is to come with them. */
  isPrefixed: boolean;
  /** Told how many pictures were written. */
  onPictures: (pictures: number) => void;
  /** Told how many blocks of sound were. */
  onSounds?: (blocks: number) => void;
}

export interface FillerOptions {
  /** What it is to be like. */
  like: Pick<MeasuredPart, 'facts' | 'tracks'>;
  workFolder: string;
  tools: MediaTools;
  signal?: AbortSignal;
}

const loopSeconds = 2;
const timeLimitMs = 60_000;
// Into clusters as recorders write them.
const clusterMs = 250;
const usualFps = 25;

/** As ffprobe names profiles, and x264. */
const profiles: Record<string, string> = {
  'Constrained Baseline': 'baseline',
  Baseline: 'baseline',
  Main: 'main',
  High: 'high',
  'High 10': 'high10',
  'High 4:2:2': 'high422',
  'High 4:4:4 Predictive': 'high444',
};
const pixelFormats = [
  'yuv420p',
  'yuvj420p',
  'yuv422p',
  'yuvj422p',
  'yuv444p',
  'yuvj444p',
  'yuv420p10le',
  'yuv422p10le',
];

const soundEncoders: Record<string, string[]> = {
  aac: ['aac'],
  mp3: ['libmp3lame', '-b:a', '128k'],
  opus: ['libopus'],
  ac3: ['ac3'],
  pcm_s16le: ['pcm_s16le'],
};
// Of AAC, what is understood by every decoder; silence of it is none to a decoder that expects more.
const plainAac = 2;

/** Why gaps between such parts cannot be filled; null when they can. */
export function unfillable({ facts, tracks }: Pick<MeasuredPart, 'facts' | 'tracks'>): string | null {
  const { video, audio } = facts;
  if (video && video.codec !== 'vp8' && (video.codec !== 'h264' || !pixelFormats.includes(video.pixelFormat)))
    return `Gaps are filled in H.264 and VP8, not in ${video.codec} (${video.pixelFormat}).`;
  const objectType = (tracks.find(({ kind }) => kind === 'audio')?.setup?.[0] ?? plainAac << 3) >> 3;
  if (audio && (!soundEncoders[audio.codec] || (audio.codec === 'aac' && objectType !== plainAac)))
    return `Silence cannot be made in ${audio.codec}${audio.codec === 'aac' ? ' of this profile' : ''}.`;
  return null;
}

/** Throws ToolError when it cannot be made. To be asked for only where `unfillable` has nothing to say. */
export async function makeFiller({ like, workFolder, tools, signal }: FillerOptions): Promise<Filler> {
  const { video, audio } = like.facts;
  const fps = video && video.fps > 0 ? video.fps : usualFps;
  const ownSetup = like.tracks.find(({ kind }) => kind === 'video')?.setup ?? null;
  const file = join(workFolder, 'filler.mkv');
  await runTool(tools.ffmpeg, fillerArguments(like.facts, fps, ownSetup, file), { timeLimitMs, signal });
  const { pictures, sounds, setup } = await readFiller(file);
  const isH264 = video?.codec === 'h264' && ownSetup !== null && setup !== null;
  const asOwn = (payload: Buffer) =>
    isH264 ? relengthened(payload, lengthBytes('h264', setup), lengthBytes('h264', ownSetup)) : payload;
  const loop = pictures.map(({ payload, isKey }) => ({ payload: asOwn(payload), isKey }));
  const frameMs = 1_000 / fps;
  // The first block of an encoder is what it needs to begin; one from the middle is silence and nothing else.
  const silence = sounds[sounds.length >> 1]?.payload ?? null;
  const soundMs = audio && silence ? soundLengthMs(audio, silence) : 0;
  return {
    setup: isH264 ? mergedH264(ownSetup, setup) : ownSetup,
    *write({ fromMs, toMs, sound, isPrefixed, onPictures, onSounds }) {
      const prefix = isPrefixed && isH264 ? asOwn(setsInBand('h264', setup)) : Buffer.alloc(0);
      const pictures = loop.map(({ payload, isKey }) => ({
        isKey,
        payload: isKey ? Buffer.concat([prefix, payload]) : payload,
      }));
      let shown = 0;
      let heard = 0;
      const pictureAt = () => fromMs + shown * frameMs;
      const soundAt = () => sound.fromMs + heard * soundMs;
      const hasPicture = () => loop.length > 0 && pictureAt() + frameMs / 2 < toMs;
      const hasSound = () => silence !== null && soundAt() + soundMs / 2 <= sound.toMs;
      while (hasPicture() || hasSound()) {
        const blocks: NewBlock[] = [];
        const untilMs = Math.min(hasPicture() ? pictureAt() : toMs, hasSound() ? soundAt() : toMs) + clusterMs;
        for (; hasPicture() && pictureAt() < untilMs; shown++)
          blocks.push({
            kind: 'video',
            atMs: pictureAt(),
            ...(pictures[shown % loop.length] as (typeof loop)[number]),
          });
        for (; hasSound() && soundAt() < untilMs; heard++)
          blocks.push({ kind: 'audio', atMs: soundAt(), isKey: true, payload: silence as Buffer });
        yield writeCluster(
          blocks.sort((one, other) => one.atMs - other.atMs),
          like.tracks,
        );
      }
      onPictures(shown);
      onSounds?.(heard);
    },
    soundMs: silence && soundMs,
    *silence(fromMs, blocks) {
      for (let block = 0; silence && block < blocks; block++) {
        const atMs = fromMs + block * soundMs;
        yield writeCluster([{ kind: 'audio', atMs, isKey: true, payload: silence }], like.tracks);
      }
    },
  };
}

function fillerArguments({ video, audio }: Facts, fps: number, setup: Buffer | null, file: string): string[] {
  const shape = /^(\d+):(\d+)$/.exec(video?.pixelShape ?? '');
  const picture = video
    ? `color=c=black:s=${video.width}x${video.height}:r=${fps},setsar=${Number(shape?.[1] ?? 1)}/${Number(shape?.[2] ?? 1) || 1}`
    : '';
  const silence = audio ? `anullsrc=r=${audio.sampleRate}` : '';
  return [
    ...['-nostdin', '-v', 'error', '-y'],
    ...(picture ? ['-f', 'lavfi', '-i', picture] : []),
    ...(silence ? ['-f', 'lavfi', '-i', silence, '-ac', `${audio?.channels ?? 2}`] : []),
    ...['-t', `${loopSeconds}`, ...(video ? pictureEncoder(video, setup) : [])],
    ...(audio ? ['-c:a', ...(soundEncoders[audio.codec] ?? [])] : []),
    ...['-f', 'matroska', `file:${file}`],
  ];
}

function pictureEncoder(video: NonNullable<Facts['video']>, setup: Buffer | null): string[] {
  if (video.codec === 'vp8') return ['-c:v', 'libvpx', '-deadline', 'realtime', '-g', '9999', '-auto-alt-ref', '0'];
  const profile = profiles[video.profile ?? ''];
  const number = setup ? freeSetNumber(setup) : 1;
  return [
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-bf', '0', '-g', '9999', '-pix_fmt', video.pixelFormat],
    ...(profile ? ['-profile:v', profile] : []),
    // Both kinds of pictures then find what they need in the file's head, wherever a player begins.
    ...['-x264-params', `sps-id=${number}:scenecut=0`],
  ];
}

async function readFiller(file: string) {
  const media = await openPartFile(file);
  try {
    await media.look(true);
    const found: Record<Kind, { payload: Buffer; isKey: boolean; timeMs: number }[]> = { video: [], audio: [] };
    for await (const bite of media.read(media.clusters)) {
      for (const cluster of bite) {
        for (const { kind, isKey, timeMs, timeAt, end, isSimple } of blocksIn(cluster, media.tracks))
          if (isSimple)
            found[kind].push({ isKey, timeMs, payload: Buffer.from(cluster.content.subarray(timeAt + 3, end)) });
      }
    }
    const track: Track | undefined = media.tracks.find(({ kind }) => kind === 'video');
    return { pictures: found.video, sounds: found.audio, setup: track?.setup ?? null };
  } finally {
    await media.close();
  }
}

/** Of one block. */
function soundLengthMs({ codec, sampleRate, channels }: NonNullable<Facts['audio']>, block: Buffer): number {
  const samples: Record<string, number> = {
    aac: 1_024,
    mp3: sampleRate < 32_000 ? 576 : 1_152,
    ac3: 1_536,
    opus: sampleRate / 50,
    pcm_s16le: block.length / (2 * channels),
  };
  return ((samples[codec] ?? Number.POSITIVE_INFINITY) * 1_000) / sampleRate;
}

/** Units of a picture with another number of bytes for their lengths. */
function relengthened(payload: Buffer, from: number, to: number): Buffer {
  if (from === to) return payload;
  const units: Buffer[] = [];
  for (let at = 0; at + from <= payload.length; ) {
    const length = payload.readUIntBE(at, from);
    const size = Buffer.alloc(to);
    size.writeUIntBE(length, 0, to);
    units.push(size, payload.subarray(at + from, at + from + length));
    at += from + length;
  }
  return Buffer.concat(units);
}
