/** Where a part of a split recording is cut: at the same places whenever it is asked, while the part grows or long after. */
import type { MeasuredPart } from './measure.js';
import { blocksIn, type Cluster, type PartFile } from './part-file.js';
import { changesOf } from './picture-changes.js';
import type { Stretch } from './stretch.js';

/** Where a piece begins. */
export interface Cut {
  /** Media time of the part, milliseconds. */
  atMs: number;
  /** Where its first picture is stored; where there are no pictures, its first sound. */
  atByte: number;
}

/** Pieces that were cut earlier, as the manifest has them: they stay as they are, whatever the length is by now. */
export interface KnownPiece {
  piece: number;
  fromMs: number;
  durationMs: number;
}

export interface CutOptions {
  media: PartFile;
  /** Whether pieces begin with pictures. */
  hasPictures: boolean;
  splitMs: number;
  /** In order, without a hole. */
  known?: readonly KnownPiece[];
  start: Cut;
}

// Times are in whole milliseconds: a picture that was made for a whole second may be a little before it.
const roundingMs = 2;

/** Of what a manifest has, what one can go on from: without a hole from the first one on. */
export function knownInOrder<T extends KnownPiece>(pieces: readonly T[]): T[] {
  const sorted = [...pieces].sort((a, b) => a.piece - b.piece);
  return sorted.filter(({ piece }, index) => piece === index);
}

export interface CutFinder {
  /** Every place that was found so far, the beginning first. */
  readonly cuts: readonly Cut[];
  /** Looks through the clusters that it has not seen yet, of these. */
  look(clusters: readonly Cluster[]): Promise<void>;
}

/**
 * Cuts at the first picture that can be decoded by itself, at or after each multiple of the length in the part's own media
 * time, and where pictures become others: no file holds both. Longer pieces than that are where the source has no such
 * picture.
 */
export function createCutFinder({ media, hasPictures, splitMs, known = [], start }: CutOptions): CutFinder {
  const cuts = [start];
  // Where earlier cuts were made is not looked for again, but what is stored there is.
  const ends = known.map(({ fromMs, durationMs }) => fromMs + durationMs);
  let seenTo = start.atByte;
  const changes = hasPictures ? changesOf(media.tracks.find(({ kind }) => kind === 'video')?.codecId ?? '') : null;

  const nextMs = (): number => {
    const lastMs = (cuts.at(-1) as Cut).atMs;
    return ends[cuts.length - 1] ?? (Math.floor((lastMs + roundingMs) / splitMs) + 1) * splitMs - roundingMs;
  };

  return {
    cuts,
    async look(clusters) {
      const unseen = clusters.filter(({ position, bytes }) => position + bytes > seenTo);
      for await (const bite of media.read(unseen)) {
        for (const cluster of bite) {
          for (const { kind, timeMs, isKey, position, timeAt, end } of blocksIn(cluster, media.tracks)) {
            const isSeen = position <= seenTo && position !== start.atByte;
            if (isSeen || kind !== (hasPictures ? 'video' : 'audio') || !isKey) continue;
            const isChanged = changes?.see(cluster.content.subarray(timeAt + 3, end)) ?? false;
            const isDue = timeMs >= nextMs() || (isChanged && ends[cuts.length - 1] === undefined);
            if (isDue && position !== start.atByte) cuts.push({ atMs: timeMs, atByte: position });
          }
          seenTo = Math.max(seenTo, cluster.position + cluster.bytes - 1);
        }
      }
    },
  };
}

/** The pieces of what is taken of a part that nobody writes any more. */
export async function cutsOf(
  { media, tracks }: Pick<MeasuredPart, 'media' | 'tracks'>,
  taken: Stretch,
  { splitMs, known }: Pick<CutOptions, 'splitMs' | 'known'>,
): Promise<Stretch[]> {
  const hasPictures = tracks.some(({ kind }) => kind === 'video');
  const start = { atMs: taken.fromMs, atByte: taken.fromByte };
  const finder = createCutFinder({ media, hasPictures, splitMs, known, start });
  await finder.look(media.clusters);
  const cuts = finder.cuts.filter(({ atMs }) => atMs < taken.toMs);
  return cuts.map(({ atMs, atByte }, index) => {
    const next = cuts[index + 1] ?? { atMs: taken.toMs, atByte: taken.toByte };
    return { fromMs: atMs, fromByte: atByte, toMs: next.atMs, toByte: next.atByte };
  });
}
