/** Makes playable files of a recording's parts by stream copy: gaps are cut out or filled, picture and sound stay together. */
import type { OutputFormat } from '../../src/recordings/config.js';
import { fallbackFormat, fits, formats } from '../../src/recordings/formats.js';
import type { MediaTools } from '../ffmpeg/run.js';
import type { Codecs } from './containers.js';
import { unfillable } from './filler.js';
import { groupParts } from './groups.js';
import { cutAt, isLeftOut, type LeftOut, type MeasuredPart, measurePart, type PartSource } from './measure.js';
import { isRefused } from './mux.js';
import { keptMs } from './overlap.js';
import type { Kind } from './part-file.js';
import { type TakenPart, type Written, writeJoined } from './write-joined.js';

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

export interface Deliverable {
  file: string;
  /** Of the file: another than was asked for where that does not hold what was recorded. */
  format: OutputFormat;
  /** Indexes of the parts it is made of. */
  parts: number[];
  /** With what fills gaps. */
  durationMs: number;
  /** Why it is not as it was asked for. */
  problem?: string;
}

export interface JoinResult {
  /** One for each set of codec parameters, the first part's first; none when nothing usable was recorded. */
  deliverables: Deliverable[];
  /** As given, one each. */
  parts: JoinedPart[];
  /** All deliverables together, without what fills gaps. */
  recordedMs: number;
}

export interface JoinOptions {
  /** In order of recording. */
  parts: readonly PartSource[];
  /** Names the file of the nth deliverable, from 0. */
  output: (index: number, format: OutputFormat) => string;
  /** An existing folder for what is needed on the way. */
  workFolder: string;
  tools: MediaTools;
  /** What does not fit it becomes MKV. Left out: MP4, and nothing else. */
  format?: OutputFormat;
  /** Which kinds of media are wanted; both when left out. */
  kinds?: readonly Kind[];
  /** A part without a picture that can be shown counts by its sound. */
  allowSoundAlone?: boolean;
  /** Gaps become black and silence, so that a file is as long as its recording took. */
  fillGaps?: boolean;
  signal?: AbortSignal;
  /** Called at least once a second; 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/**
 * Joins parts into files with their index in front. Each part counts from its first key frame to the end of its last
 * picture, so that the joined length is the sum of the parts'. A part without media is left out and reported, never fatal.
 * Throws ToolError when a file cannot be written.
 */
export async function joinParts(options: JoinOptions): Promise<JoinResult> {
  const { tools, signal, onProgress } = options;
  const measuring = {
    ...{ ffprobe: tools.ffprobe, signal, onBeat: () => onProgress?.(0) },
    ...{ kinds: options.kinds, allowSoundAlone: options.allowSoundAlone },
  };
  const parts: JoinedPart[] = [];
  const usable: (MeasuredPart & { index: number })[] = [];
  try {
    for (const [index, { file, ...part }] of options.parts.entries()) {
      const found = await measurePart({ file, ...part }, measuring);
      if (isLeftOut(found)) {
        parts.push({ file, startedAt: null, durationMs: 0, keptMs: 0, ...found });
        continue;
      }
      usable.push({ ...found, index });
      const { startedAt, durationMs } = found;
      parts.push({ file, startedAt, durationMs, keptMs: durationMs, leftOut: null });
    }
    const taken = await takeParts(usable, parts);
    const deliverables = await writeGroups(groupParts(taken), options);
    const recordedMs = parts.reduce((sum, part) => sum + part.keptMs, 0);
    return { deliverables, parts, recordedMs };
  } finally {
    await Promise.all(usable.map(({ media }) => media.close()));
  }
}

/** Without what a later incarnation recorded again. */
async function takeParts(usable: (MeasuredPart & { index: number })[], parts: JoinedPart[]): Promise<TakenPart[]> {
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

async function writeGroups(groups: TakenPart[][], options: JoinOptions): Promise<Deliverable[]> {
  const wanted = options.format ?? 'MP4';
  const allMs = groups.flat().reduce((sum, part) => sum + part.keptMs, 0);
  const deliverables: Deliverable[] = [];
  let doneMs = 0;
  for (const group of groups) {
    const { facts } = (group[0] as TakenPart).part;
    const codecs = { video: facts.video?.codec ?? null, audio: facts.audio?.codec ?? null };
    const isHeld = fits(wanted, codecs.video, codecs.audio);
    const unfilled = options.fillGaps ? unfillable((group[0] as TakenPart).part) : null;
    const problems = [...(isHeld ? [] : [unheld(wanted, codecs)]), ...(unfilled ? [unfilled] : [])];
    const partsMs = group.reduce((sum, part) => sum + part.keptMs, 0);
    const write = (format: OutputFormat) =>
      writeJoined(group, {
        ...{ format, codecs, output: options.output(deliverables.length, format) },
        ...{ workFolder: options.workFolder, tools: options.tools, signal: options.signal },
        fillGaps: options.fillGaps === true && !unfilled,
        onPosition: (ms) => options.onProgress?.(Math.min(1, (doneMs + Math.min(ms, partsMs)) / allMs)),
      });
    const made = await writeOr(
      write,
      isHeld || !options.format ? wanted : fallbackFormat,
      options.format !== undefined,
    );
    if (made.problem) problems.push(made.problem);
    deliverables.push({
      ...{ file: options.output(deliverables.length, made.format), format: made.format },
      ...{ parts: group.map(({ index }) => index), durationMs: made.durationMs },
      ...(problems.length > 0 ? { problem: problems.join(' ') } : {}),
    });
    doneMs += partsMs;
    options.onProgress?.(doneMs / allMs);
  }
  return deliverables;
}

/** What the format does not take against all that is known of it is put into one that takes everything. */
async function writeOr(
  write: (format: OutputFormat) => Promise<Written>,
  format: OutputFormat,
  mayFallBack: boolean,
): Promise<Written & { format: OutputFormat }> {
  try {
    return { ...(await write(format)), format };
  } catch (error) {
    if (format === fallbackFormat || !mayFallBack || !isRefused(error)) throw error;
    const made = await write(fallbackFormat);
    const problem = `${formats[format].name} did not take it: ${error instanceof Error ? error.message : error}`;
    return { ...made, format: fallbackFormat, problem };
  }
}

function unheld(format: OutputFormat, { video, audio }: Codecs): string {
  const codecs = [video, audio].filter((codec) => codec !== null).join(' and ');
  return `${formats[format].name} does not hold ${codecs}: a ${formats[fallbackFormat].name} file was made.`;
}
