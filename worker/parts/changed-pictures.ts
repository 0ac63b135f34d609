/** Where the pictures of one part become others, such as larger ones, since its source changed what it sends: what they are from there on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { probeHead } from '../ffmpeg/probe.js';
import { type MediaTools, runTool } from '../ffmpeg/run.js';
import { createCutFinder } from './cuts.js';
import { ids } from './ebml.js';
import type { Facts } from './measure.js';
import { carriesSets } from './parameter-sets.js';
import { blocksIn, openPartFile, type PartFile, type Track } from './part-file.js';
import { changesOf, unitsOf } from './picture-changes.js';
import type { TakenPart } from './take.js';

export interface ChangeOptions {
  /** An existing folder for what is needed on the way. */
  workFolder: string;
  tools: MediaTools;
  signal?: AbortSignal;
}

/** What is shown from some place of a part on. */
export interface Shown {
  tracks: readonly Track[];
  /** Of the tracks. */
  facts: Facts;
}

// One picture is copied and looked at.
const timeLimitMs = 30_000;
const startCode = Buffer.from([0, 0, 0, 1]);
const video = 0xe0;

/**
 * What is taken of a part, one for each kind of pictures that follow each other: a file has one head. Reads all of it where
 * key frames say what they are. Throws ToolError.
 */
export async function splitAtChanges(taken: TakenPart, options: ChangeOptions): Promise<TakenPart[]> {
  const { part, stretch } = taken;
  const { media, facts } = part;
  if (!carriesSets(facts.video?.codec) || !(await keyFrameAt(media, stretch.fromByte))?.saysWhatItIs) return [taken];
  const start = { atMs: stretch.fromMs, atByte: stretch.fromByte };
  const finder = createCutFinder({ media, hasPictures: true, splitMs: Number.POSITIVE_INFINITY, start });
  await finder.look(media.clusters);
  const cuts = finder.cuts.filter(({ atMs, atByte }) => atMs < stretch.toMs && atByte < stretch.toByte);
  if (cuts.length === 1) return [taken];
  const split: TakenPart[] = [];
  for (const [index, { atMs, atByte }] of cuts.entries()) {
    const next = cuts[index + 1] ?? { atMs: stretch.toMs, atByte: stretch.toByte };
    const own = { fromMs: atMs, fromByte: atByte, toMs: next.atMs, toByte: next.atByte };
    const keptMs = Math.round(own.toMs) - Math.round(own.fromMs);
    const like = {
      ...{ ...part, ...(await shownFrom(media, part, atByte, options)), whole: own, isPlain: false },
      startedAt: part.startedAt === null ? null : Math.round(part.startedAt + atMs - part.whole.fromMs),
      soundFromMs: Math.max(part.soundFromMs, own.fromMs),
      ...{ soundEndMs: Math.min(part.soundEndMs, own.toMs), durationMs: keptMs },
    };
    split.push({ ...taken, part: like, stretch: own, keptMs });
  }
  return split;
}

/** As the part's head says, or as the key frame at the place says where that is another. Throws ToolError. */
export async function shownFrom(media: PartFile, head: Shown, atByte: number, options: ChangeOptions): Promise<Shown> {
  const track = head.tracks.find(({ kind }) => kind === 'video');
  const codec = head.facts.video?.codec;
  if (!track?.setup || !carriesSets(codec)) return head;
  const found = await keyFrameAt(media, atByte);
  if (!found?.saysWhatItIs || track.setup.includes(found.saysWhatItIs)) return head;
  const folder = await mkdtemp(join(options.workFolder, 'changed-'));
  try {
    const file = join(folder, 'one.mkv');
    const { tools, signal } = options;
    const into = ['-map', '0:v:0', '-c', 'copy', '-bsf:v', 'setts=pts=0:dts=0', '-f', 'matroska', `file:${file}`];
    await runTool(tools.ffmpeg, ['-v', 'error', '-f', codec, '-i', 'pipe:0', ...into], {
      ...{ timeLimitMs, signal, input: withStartCodes(found.picture) },
    });
    const [facts, own] = [await probeHead(file, { ffprobe: tools.ffprobe, signal }), await onlyTrack(file)];
    const tracks = head.tracks.map((each) => (each === track ? { ...track, ...asIn(own, track) } : each));
    const { fps, heldBack } = head.facts.video as NonNullable<Facts['video']>;
    return { tracks, facts: { ...head.facts, video: facts.video && { ...facts.video, fps, heldBack } } };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The picture that is stored there, and its first set where it comes with any; null where there is none. */
async function keyFrameAt(
  media: PartFile,
  atByte: number,
): Promise<{ picture: Buffer; saysWhatItIs: Buffer | null } | null> {
  const holding = media.clusters.filter(({ position, bytes }) => position <= atByte && position + bytes > atByte);
  for await (const bite of media.read(holding)) {
    for (const cluster of bite) {
      const block = blocksIn(cluster, media.tracks).find(
        ({ kind, position }) => kind === 'video' && position === atByte,
      );
      if (!block) continue;
      const picture = cluster.content.subarray(block.timeAt + 3, block.end);
      const codecId = media.tracks.find(({ kind }) => kind === 'video')?.codecId ?? '';
      return { picture, saysWhatItIs: changesOf(codecId)?.setIn(picture) ?? null };
    }
  }
  return null;
}

async function* withStartCodes(picture: Buffer): AsyncGenerator<Buffer> {
  for (const unit of unitsOf(picture)) yield Buffer.concat([startCode, unit]);
}

async function onlyTrack(file: string): Promise<Track> {
  const media = await openPartFile(file);
  try {
    await media.look(true);
    return media.tracks[0] as Track;
  } finally {
    await media.close();
  }
}

/** The size, and what a decoder must know, of one; number and times of the other. */
function asIn(own: Track, { fields }: Track): Pick<Track, 'setup' | 'fields'> {
  const isOfPictures = ({ id }: Track['fields'][number]) => id === video || id === ids.codecPrivate;
  return {
    setup: own.setup,
    fields: [...fields.filter((field) => !isOfPictures(field)), ...own.fields.filter(isOfPictures)],
  };
}
