/** What is in one part: its tracks, from where to where it can be shown, and what it must be like for another to go on with it. */
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PartEnd } from '../../src/jobs/capture.js';
import type { RecordingOutput } from '../../src/recordings/config.js';
import { type MediaFacts, type ProbeOptions, probeHead } from '../ffmpeg/probe.js';
import { ToolError } from '../ffmpeg/run.js';
import type { Codecs } from './containers.js';
import type { Cut } from './cuts.js';
import type { PlacedPart } from './overlap.js';
import { type Block, blocksIn, type Cluster, type Kind, openPartFile, type PartFile, type Track } from './part-file.js';
import type { Stretch } from './stretch.js';

export interface PartSource {
  file: string;
  incarnation: number;
  /** Wall clock (epoch ms) of media time zero; null when unknown. */
  zeroAt: number | null;
  /** Why it ended; null or left out: unknown. */
  endCause?: PartEnd | null;
}

export type Facts = Pick<MediaFacts, 'video' | 'audio'>;

/** A part that something can be made of. */
export interface MeasuredPart extends PlacedPart {
  file: string;
  bytes: number;
  media: PartFile;
  facts: Facts;
  /** Those that are shown, or heard. */
  tracks: readonly Track[];
  /** All of it that can be shown. */
  whole: Stretch;
  /** Media times between which there is sound in it. */
  soundFromMs: number;
  soundEndMs: number;
  /** Nothing of the file is left out but what cannot be shown at its beginning. */
  isPlain: boolean;
}

export interface LeftOut {
  /** `unreadable` should be kept for a person to look at. */
  leftOut: 'empty' | 'unreadable';
  problem: string;
}

export interface MeasureOptions extends Pick<ProbeOptions, 'ffprobe' | 'signal' | 'onBeat'> {
  /** Which kinds are wanted; both when left out. */
  kinds?: readonly Kind[];
  /** Sound counts though there is no picture that can be shown with it. */
  allowSoundAlone?: boolean;
}

// A header without a cluster is about 1 KiB: a recorder that was killed before it wrote any media.
const emptyBytes = 4_096;
// A disk or a system that is short of something refuses for a moment; what is no media is no media each time.
const pausesMs = [250, 1_000, 3_000];
// Sound before the first picture that can be decoded was recorded while that was waited for. More than the longest usual time
// between two is a source whose picture came later.
const longestWaitMs = 15_000;
// Sound goes on for as long behind the last picture as its writer held pictures back; more is a picture that ended earlier.
const longestTailMs = 1_000;
// Behind the last picture, where others may be stored that are shown before it.
const reorderingMs = 3_000;
// Times jump by more than a connection buffers, which is 15 s; and it takes a recorder a second or so to see it.
const leastHoleMs = 5_000;
const longestBehindHoleMs = 5_000;

export const isLeftOut = (found: MeasuredPart | LeftOut): found is LeftOut => 'leftOut' in found;

/** The caller closes `media`. Throws ToolError where ffprobe cannot be used, what the disk throws, or the signal's reason. */
export async function measurePart(part: PartSource, options: MeasureOptions): Promise<MeasuredPart | LeftOut> {
  const { size } = await stat(part.file);
  if (size < emptyBytes) return { leftOut: 'empty', problem: `${part.file} has ${size} bytes: no media was written.` };
  const facts = await readFacts(part.file, options);
  if (facts instanceof ToolError) return { leftOut: 'unreadable', problem: facts.message };
  const media = await openPartFile(part.file);
  try {
    await media.look(true);
    const clusters = part.endCause === 'TIME_JUMPED' ? beforeHole(media.clusters) : media.clusters;
    const tracks = media.tracks.filter(({ kind }) => options.kinds?.includes(kind) ?? true);
    const span = await spanOf(media, { clusters, tracks, facts, allowSoundAlone: options.allowSoundAlone ?? false });
    if (span) return measured(part, { size, media, facts, isPlain: clusters === media.clusters, ...span });
  } catch (error) {
    await media.close();
    throw error;
  }
  await media.close();
  return {
    leftOut: 'empty',
    problem: `${part.file} has no ${options.allowSoundAlone ? 'media' : 'picture'} that can be shown.`,
  };
}

function measured(
  part: PartSource,
  found: Span & { size: number; media: PartFile; facts: Facts; isPlain: boolean },
): MeasuredPart {
  const { whole, size, media, facts, tracks, soundFromMs, soundEndMs } = found;
  const has = (kind: Kind) => tracks.some((track) => track.kind === kind);
  return {
    ...{ file: part.file, incarnation: part.incarnation, bytes: size, media, tracks, whole, soundFromMs, soundEndMs },
    facts: { video: has('video') ? facts.video : null, audio: has('audio') ? facts.audio : null },
    durationMs: Math.round(whole.toMs - whole.fromMs),
    startedAt: part.zeroAt === null ? null : Math.round(part.zeroAt + whole.fromMs),
    isPlain: found.isPlain && tracks.length === media.tracks.length,
  };
}

/** Which kinds of media are wanted of a recording. */
export const kindsOf = ({ hasVideo, hasAudio }: Pick<RecordingOutput, 'hasVideo' | 'hasAudio'>): Kind[] => [
  ...(hasVideo ? (['video'] as const) : []),
  ...(hasAudio ? (['audio'] as const) : []),
];

/** Of the tracks among what a file holds. */
export const codecsOf = ({ video, audio }: Facts, tracks: readonly Track[]): Codecs => {
  const has = (kind: Kind) => tracks.some((track) => track.kind === kind);
  return { video: has('video') ? (video?.codec ?? null) : null, audio: has('audio') ? (audio?.codec ?? null) : null };
};

/** The header as ffprobe understands it; the error of the last try when it could not be read by any. */
async function readFacts(file: string, options: MeasureOptions): Promise<Facts | ToolError> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await probeHead(file, options);
    } catch (error) {
      if (!(error instanceof ToolError) || error.kind !== 'failed') throw error;
      const pauseMs = pausesMs[attempt];
      if (pauseMs === undefined) return error;
      await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
    }
  }
}

/** Without what was written behind the last jump of its times: it is of another time than it says. */
export function beforeHole(clusters: readonly Cluster[]): readonly Cluster[] {
  const last = clusters.at(-1)?.timeMs ?? 0;
  const isHole = ({ timeMs }: Cluster, index: number) => timeMs - (clusters[index - 1]?.timeMs ?? timeMs) > leastHoleMs;
  const hole = clusters.findLastIndex(isHole);
  const isTail = hole > 0 && last - (clusters[hole] as Cluster).timeMs <= longestBehindHoleMs;
  return isTail ? clusters.slice(0, hole) : clusters;
}

interface Span {
  tracks: Track[];
  whole: Stretch;
  soundFromMs: number;
  soundEndMs: number;
}

async function spanOf(
  media: PartFile,
  found: { clusters: readonly Cluster[]; tracks: Track[]; facts: Facts; allowSoundAlone: boolean },
): Promise<Span | null> {
  const { clusters, tracks, facts } = found;
  const video = tracks.find(({ kind }) => kind === 'video');
  const hasSound = tracks.some(({ kind }) => kind === 'audio');
  const last = clusters.at(-1);
  const beginning = await beginningOf(media, clusters, tracks);
  const soundAlone = !video || found.allowSoundAlone ? await soundBeginningOf(media, clusters, tracks) : null;
  const begins = beginning ?? soundAlone;
  if (!last || !begins) return null;
  const frameMs = video?.frameMs ?? (facts.video && facts.video.fps > 0 ? 1_000 / facts.video.fps : 0);
  const pictures = begins.hasPictures ? await tailOf(media, clusters, 'video') : null;
  const sounds = hasSound ? await tailOf(media, clusters, 'audio') : null;
  const pictureEndMs = pictures ? pictures.lastMs + frameMs : Number.NEGATIVE_INFINITY;
  const soundEndMs = sounds ? sounds.lastMs + sounds.stepMs : Number.NEGATIVE_INFINITY;
  const isHeard = ({ kind, timeMs }: Block) => kind === 'audio' && timeMs >= begins.atMs;
  const soundFrom = hasSound ? await firstOf(media, clusters, isHeard) : null;
  const toMs =
    pictures && soundEndMs - pictureEndMs <= longestTailMs ? pictureEndMs : Math.max(pictureEndMs, soundEndMs);
  return {
    tracks: begins.hasPictures ? tracks : tracks.filter(({ kind }) => kind === 'audio'),
    whole: { fromMs: begins.atMs, toMs, fromByte: begins.atByte, toByte: last.position + last.bytes },
    soundFromMs: soundFrom?.timeMs ?? toMs,
    soundEndMs: Math.min(soundEndMs, toMs + (sounds?.stepMs ?? 0)),
  };
}

export interface Beginning extends Cut {
  hasPictures: boolean;
}

/**
 * Where what can be shown of a part begins: with its first picture that can be decoded by itself, or with its sound, where it
 * has no others, or where the pictures came much later. Null where there is no such picture among the clusters.
 */
export async function beginningOf(
  media: PartFile,
  clusters: readonly Cluster[],
  tracks: readonly Track[],
): Promise<Beginning | null> {
  const sound = await soundBeginningOf(media, clusters, tracks);
  if (!tracks.some(({ kind }) => kind === 'video')) return sound;
  const picture = await firstOf(media, clusters, ({ kind, isKey }) => kind === 'video' && isKey);
  if (!picture) return null;
  const waitedMs = sound ? picture.timeMs - sound.atMs : 0;
  const atMs = sound && waitedMs > longestWaitMs ? sound.atMs : picture.timeMs;
  return { atMs, atByte: picture.position, hasPictures: true };
}

async function soundBeginningOf(
  media: PartFile,
  clusters: readonly Cluster[],
  tracks: readonly Track[],
): Promise<Beginning | null> {
  if (!tracks.some(({ kind }) => kind === 'audio')) return null;
  const sound = await firstOf(media, clusters, ({ kind }) => kind === 'audio');
  return sound && { atMs: sound.timeMs, atByte: sound.position, hasPictures: false };
}

async function firstOf(
  media: PartFile,
  clusters: readonly Cluster[],
  isWanted: (block: Block) => boolean,
): Promise<Block | null> {
  for await (const bite of media.read(clusters)) {
    for (const cluster of bite) {
      const block = blocksIn(cluster, media.tracks).find(isWanted);
      if (block) return block;
    }
  }
  return null;
}

/** Time of the last block of a kind, and from the one before to it. */
async function tailOf(
  media: PartFile,
  clusters: readonly Cluster[],
  kind: Kind,
): Promise<{ lastMs: number; stepMs: number } | null> {
  let times: number[] = [];
  for (let index = clusters.length - 1; index >= 0; index--) {
    const cluster = clusters[index] as Cluster;
    if (times.length > 1 && cluster.timeMs < Math.max(...times) - reorderingMs) break;
    for await (const bite of media.read([cluster])) {
      const blocks = bite.flatMap((each) => blocksIn(each, media.tracks)).filter((block) => block.kind === kind);
      times = [...times, ...blocks.map(({ timeMs }) => timeMs)];
    }
  }
  const [lastMs, before] = times.sort((a, b) => b - a);
  return lastMs === undefined ? null : { lastMs, stepMs: lastMs - (before ?? lastMs) };
}

/**
 * What can be taken of a part that is to end before a media time: the pictures stored before the first one that is shown then
 * or later, since none of them needs a later one to be decoded.
 */
export async function cutAt({ media, whole, tracks, facts }: MeasuredPart, untilMs: number): Promise<Stretch> {
  const video = tracks.find(({ kind }) => kind === 'video');
  if (!video) return { ...whole, toMs: Math.min(whole.toMs, untilMs) };
  const frameMs = video.frameMs ?? (facts.video && facts.video.fps > 0 ? 1_000 / facts.video.fps : 0);
  const near = media.clusters.filter(({ timeMs }) => Math.abs(timeMs - untilMs) <= reorderingMs);
  let toMs = Math.max(whole.fromMs, untilMs - reorderingMs);
  for await (const bite of media.read(near)) {
    for (const cluster of bite) {
      for (const { kind, timeMs, position } of blocksIn(cluster, media.tracks)) {
        if (kind !== 'video' || position < whole.fromByte) continue;
        if (timeMs >= untilMs) return { ...whole, toMs, toByte: position };
        toMs = Math.max(toMs, timeMs + frameMs);
      }
    }
  }
  return { ...whole, toMs: Math.min(whole.toMs, toMs) };
}
