/** What is taken of each part for the files of a job: all that can be shown, once. */
import type { MediaTools } from '../ffmpeg/run.js';
import { cutAt, isLeftOut, type LeftOut, type MeasuredPart, measurePart, type PartSource } from './measure.js';
import { keptMs } from './overlap.js';
import type { Kind } from './part-file.js';
import type { Stretch } from './stretch.js';

/** What became of one part. Times are milliseconds. */
export interface JoinedPart {
  file: string;
  /** Wall clock (epoch ms) of its first picture, or of its first sound where it has none; null when unknown. */
  startedAt: number | null;
  /** Media in the part, from its first key frame to the end of its last picture, measured from packets. */
  durationMs: number;
  /**
   * How much of it is in a deliverable: less than `durationMs` when a later incarnation recorded its end too. The cut falls
   * up to three pictures early, where no later picture is needed to decode.
   */
  keptMs: number;
  /** Why it is in no deliverable. `unreadable` should be kept for a person to look at. */
  leftOut: LeftOut['leftOut'] | 'recorded-again' | null;
  /** The reason in words, when it was left out. */
  problem?: string;
}

/** A part, and what is taken of it. */
export interface TakenPart {
  part: MeasuredPart;
  /** Of those that were given. */
  index: number;
  stretch: Stretch;
  keptMs: number;
}

export interface TakeOptions {
  /** In order of recording. */
  parts: readonly PartSource[];
  tools: MediaTools;
  /** Which kinds of media are wanted; both when left out. */
  kinds?: readonly Kind[];
  /** A part without a picture that can be shown counts by its sound. */
  allowSoundAlone?: boolean;
  signal?: AbortSignal;
  /** Called at least once a second. */
  onBeat?: () => void;
}

/** Calls `use` with what there is, and closes it after that. `parts` are as given, one each. Throws as `measurePart`, and `use`. */
export async function withTakenParts<T>(
  options: TakeOptions,
  use: (taken: TakenPart[], parts: JoinedPart[]) => Promise<T>,
): Promise<T> {
  const { tools, kinds, allowSoundAlone, signal, onBeat } = options;
  const parts: JoinedPart[] = [];
  const usable: (MeasuredPart & { index: number })[] = [];
  try {
    for (const [index, part] of options.parts.entries()) {
      const { file } = part;
      const found = await measurePart(part, { ffprobe: tools.ffprobe, kinds, allowSoundAlone, signal, onBeat });
      if (isLeftOut(found)) {
        parts.push({ file, startedAt: null, durationMs: 0, keptMs: 0, ...found });
        continue;
      }
      usable.push({ ...found, index });
      const { startedAt, durationMs } = found;
      parts.push({ file, startedAt, durationMs, keptMs: durationMs, leftOut: null });
    }
    return await use(await takeOnce(usable, parts), parts);
  } finally {
    await Promise.all(usable.map(({ media }) => media.close()));
  }
}

/** Without what a later incarnation recorded again. */
async function takeOnce(
  usable: readonly (MeasuredPart & { index: number })[],
  parts: JoinedPart[],
): Promise<TakenPart[]> {
  const taken: TakenPart[] = [];
  for (const [order, allowedMs] of keptMs(usable).entries()) {
    const part = usable[order] as (typeof usable)[number];
    const entry = parts[part.index] as JoinedPart;
    const stretch = allowedMs === part.durationMs ? part.whole : await cutAt(part, part.whole.fromMs + allowedMs);
    entry.keptMs = Math.max(0, Math.round(stretch.toMs - stretch.fromMs));
    if (entry.keptMs > 0) {
      taken.push({ part, stretch, index: part.index, keptMs: entry.keptMs });
      continue;
    }
    entry.leftOut = 'recorded-again';
    entry.problem = 'A later recorder recorded the same time.';
  }
  return taken;
}
