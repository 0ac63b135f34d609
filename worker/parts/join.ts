/** Makes one playable file of a recording's parts by stream copy: gaps are cut out, picture and sound stay together. */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MediaFacts, packetTimes, picturesBefore, probe } from '../ffmpeg/probe.js';
import { type MediaTools, ToolError } from '../ffmpeg/run.js';
import { copyStreams } from './copy.js';
import { keptMs, type PlacedPart } from './overlap.js';

export interface PartSource {
  file: string;
  incarnation: number;
  /** Wall clock (epoch ms) of media time zero; null when unknown. */
  zeroAt: number | null;
}

/** What became of one part. Times are milliseconds. */
export interface JoinedPart {
  file: string;
  /** Wall clock (epoch ms) of its first picture; null when unknown. */
  startedAt: number | null;
  /** Media in the part, from its first key frame to the end of its last picture, measured from packets. */
  durationMs: number;
  /**
   * How much of it is in a deliverable: less than `durationMs` when a later incarnation recorded its end too. The cut falls
   * up to three pictures early, where no later picture is needed to decode.
   */
  keptMs: number;
  /** Why it is in no deliverable. `unreadable` should be kept for a person to look at. */
  leftOut: 'empty' | 'unreadable' | 'recorded-again' | null;
  /** The reason in words, when it was left out. */
  problem?: string;
}

export interface Deliverable {
  file: string;
  /** Indexes of the parts it is made of. */
  parts: number[];
  durationMs: number;
}

export interface JoinResult {
  /** One for each set of codec parameters, the first part's first; none when nothing usable was recorded. */
  deliverables: Deliverable[];
  /** As given, one each. */
  parts: JoinedPart[];
  /** All deliverables together. */
  recordedMs: number;
}

export interface JoinOptions {
  /** In order of recording. */
  parts: readonly PartSource[];
  /** Names the file of the nth deliverable, from 0. */
  output: (index: number) => string;
  /** An existing folder for what is needed on the way: at most the size of the parts. */
  workFolder: string;
  tools: MediaTools;
  signal?: AbortSignal;
  /** Called at least once a second; 0 to 1. */
  onProgress?: (fraction: number) => void;
}

// A disk or a system that is short of something refuses for a moment; what is no media is no media each time.
const measurePausesMs = [250, 1_000, 3_000];

// A header without a cluster is about 1 KiB: a recorder that was killed before it wrote any media.
const emptyBytes = 4_096;

interface Usable extends PlacedPart {
  index: number;
  file: string;
  bytes: number;
  firstMs: number;
  parameters: string;
}

interface Piece extends Usable {
  keptMs: number;
  /** Null: all of them. */
  pictures: number | null;
}

/**
 * Joins parts into mp4 files with their index in front. Each part counts from its first key frame to the end of its last
 * picture, so that the joined length is the sum of the parts'. A part without media is left out and reported, never fatal.
 * Throws ToolError when a file cannot be written.
 */
export async function joinParts(options: JoinOptions): Promise<JoinResult> {
  const { tools, signal, workFolder } = options;
  let fraction = 0;
  const beat = () => options.onProgress?.(fraction);
  const parts: JoinedPart[] = [];
  const usable: Usable[] = [];
  for (const [index, part] of options.parts.entries()) {
    const measured = await measure(part, index, { ffprobe: tools.ffprobe, signal, onBeat: beat });
    if ('leftOut' in measured) {
      parts.push({ file: part.file, startedAt: null, durationMs: 0, keptMs: 0, ...measured });
      continue;
    }
    usable.push(measured);
    const { startedAt, durationMs } = measured;
    parts.push({ file: part.file, startedAt, durationMs, keptMs: 0, leftOut: null });
  }

  const groups = new Map<string, Piece[]>();
  for (const [order, allowedMs] of keptMs(usable).entries()) {
    const candidate = usable[order] as Usable;
    const entry = parts[candidate.index] as JoinedPart;
    const piece = await cut(candidate, allowedMs, { ffprobe: tools.ffprobe, signal, onBeat: beat });
    entry.keptMs = piece.keptMs;
    if (piece.keptMs <= 0) {
      entry.leftOut = 'recorded-again';
      entry.problem = 'A later recorder recorded the same time.';
      continue;
    }
    groups.set(piece.parameters, [...(groups.get(piece.parameters) ?? []), piece]);
  }

  // A part that is alone in its file is copied once, others twice.
  const copies = [...groups.values()].flatMap((group) => group.map((part) => part.keptMs * (group.length > 1 ? 2 : 1)));
  const workMs = copies.reduce((sum, ms) => sum + ms, 0);
  let doneMs = 0;
  const advance = (ms: number) => ({
    onPosition: (positionMs: number) => {
      fraction = Math.min(1, (doneMs + Math.min(positionMs, ms)) / workMs);
      beat();
    },
    done: () => {
      doneMs += ms;
    },
  });

  const deliverables: Deliverable[] = [];
  for (const group of groups.values()) {
    const file = options.output(deliverables.length);
    const durationMs = group.reduce((sum, part) => sum + part.keptMs, 0);
    const bytes = group.reduce((sum, part) => sum + part.bytes, 0);
    const listed: string[] = [];
    for (const part of group) {
      // Cut before joining, not by the joiner's own in and out points: those repeat up to three blocks of sound at a seam.
      // As mp4, since Matroska shifts a piece by the 20 to 70 ms that decoding begins before time zero.
      const piece = group.length > 1 ? join(workFolder, `piece-${part.index}.mp4`) : file;
      const progress = advance(part.keptMs);
      await copyStreams({
        ffmpeg: tools.ffmpeg,
        // Read from its beginning: in a part that was finished, and of which less than two key frames arrived here, ffmpeg
        // looks for its index, finds no place to go to, and copies nothing.
        input: ['-seekable', '0', '-ss', seconds(part.firstMs), '-t', seconds(part.keptMs), '-i', `file:${part.file}`],
        pictures: part.pictures,
        output: piece,
        indexInFront: group.length === 1,
        bytes: part.bytes,
        signal,
        onPosition: progress.onPosition,
      });
      progress.done();
      // Without its length each file is placed after the longest stream of the one before, and seams drift by the difference.
      listed.push(`file '${`file:${piece}`.replaceAll("'", "'\\''")}'`, `duration ${seconds(part.keptMs)}`);
    }
    if (group.length > 1) {
      const list = join(workFolder, `pieces-${deliverables.length}.txt`);
      await writeFile(list, ['ffconcat version 1.0', ...listed, ''].join('\n'));
      const progress = advance(durationMs);
      await copyStreams({
        ffmpeg: tools.ffmpeg,
        input: ['-f', 'concat', '-safe', '0', '-i', `file:${list}`],
        pictures: null,
        output: file,
        indexInFront: true,
        bytes,
        signal,
        onPosition: progress.onPosition,
      });
      progress.done();
    }
    deliverables.push({ file, parts: group.map(({ index }) => index), durationMs });
  }
  return { deliverables, parts, recordedMs: deliverables.reduce((sum, { durationMs }) => sum + durationMs, 0) };
}

type LeftOut = Required<Pick<JoinedPart, 'leftOut' | 'problem'>>;

async function measure(
  part: PartSource,
  index: number,
  options: Parameters<typeof probe>[1],
): Promise<Usable | LeftOut> {
  const { size } = await stat(part.file);
  if (size < emptyBytes) return { leftOut: 'empty', problem: `${part.file} has ${size} bytes: no media was written.` };
  const media = await read(part.file, options);
  if (media instanceof ToolError) return { leftOut: 'unreadable', problem: media.message };
  const { facts, video } = media;
  if (!facts.video || !video || video.firstKeyMs === null) {
    return { leftOut: 'empty', problem: `${part.file} has no picture that can be shown.` };
  }
  const firstMs = video.firstKeyMs;
  return {
    index,
    file: part.file,
    incarnation: part.incarnation,
    bytes: size,
    firstMs,
    durationMs: Math.round(video.endMs - firstMs),
    startedAt: part.zeroAt === null ? null : Math.round(part.zeroAt + firstMs),
    parameters: parameters(facts),
  };
}

/** Header and packets; the error of the last try when the file could not be read by any. */
async function read(file: string, options: Parameters<typeof probe>[1]) {
  for (let attempt = 0; ; attempt++) {
    try {
      const facts = await probe(file, options);
      return { facts, video: (await packetTimes(file, options)).video };
    } catch (error) {
      if (!(error instanceof ToolError) || error.kind !== 'failed') throw error;
      const pauseMs = measurePausesMs[attempt];
      if (pauseMs === undefined) return error;
      await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => options.signal?.throwIfAborted());
    }
  }
}

async function cut(part: Usable, allowedMs: number, options: Parameters<typeof probe>[1]): Promise<Piece> {
  if (allowedMs === part.durationMs) return { ...part, keptMs: allowedMs, pictures: null };
  const { pictures, endMs } = await picturesBefore(part.file, part.firstMs + allowedMs, options);
  return { ...part, keptMs: pictures === 0 ? 0 : Math.round(endMs - part.firstMs), pictures };
}

/** Parts may share a file when these are equal: a header can announce only one of each. */
function parameters({ video, audio }: MediaFacts): string {
  const picture = video && [video.codec, video.profile, video.width, video.height, video.pixelFormat];
  return JSON.stringify([picture, audio && [audio.codec, audio.sampleRate, audio.channels]]);
}

const seconds = (ms: number): string => (ms / 1000).toFixed(6);
