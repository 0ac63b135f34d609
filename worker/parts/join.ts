/** Makes playable files of a recording's parts by stream copy: gaps are cut out or filled, picture and sound stay together. */
import { rm } from 'node:fs/promises';
import type { OutputFormat } from '../../src/recordings/config.js';
import { fallbackFormat, fits, formats } from '../../src/recordings/formats.js';
import { splitAtChanges } from './changed-pictures.js';
import type { Codecs } from './containers.js';
import { unfillable } from './filler.js';
import { groupParts } from './groups.js';
import { codecsOf } from './measure.js';
import { isRefused } from './mux.js';
import { type JoinedPart, type TakenPart, type TakeOptions, withTakenParts } from './take.js';
import { type Written, writeJoined } from './write-joined.js';

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

export interface JoinOptions extends Omit<TakeOptions, 'onBeat'> {
  /** Names the file of the nth deliverable, from 0. */
  output: (index: number, format: OutputFormat) => string;
  /** An existing folder for what is needed on the way. */
  workFolder: string;
  /** What does not fit it becomes MKV. Left out: MP4, and nothing else. */
  format?: OutputFormat;
  /** Gaps become black and silence, so that a file is as long as its recording took. */
  fillGaps?: boolean;
  /** Called at least once a second; 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/**
 * Joins parts into files with their index in front. Each part counts from its first key frame to the end of its last
 * picture, so that the joined length is the sum of the parts'. A part without media is left out and reported, never fatal.
 * Throws ToolError when a file cannot be written.
 */
export function joinParts(options: JoinOptions): Promise<JoinResult> {
  return withTakenParts({ ...options, onBeat: () => options.onProgress?.(0) }, async (taken, parts) => {
    const alike: TakenPart[] = [];
    for (const each of taken) alike.push(...(await splitAtChanges(each, options)));
    return {
      deliverables: await writeGroups(groupParts(alike), options),
      parts,
      recordedMs: parts.reduce((sum, part) => sum + part.keptMs, 0),
    };
  });
}

async function writeGroups(groups: TakenPart[][], options: JoinOptions): Promise<Deliverable[]> {
  const wanted = options.format ?? 'MP4';
  const allMs = groups.flat().reduce((sum, part) => sum + part.keptMs, 0);
  const deliverables: Deliverable[] = [];
  let doneMs = 0;
  for (const group of groups) {
    const { facts, tracks } = (group[0] as TakenPart).part;
    const codecs = codecsOf(facts, tracks);
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
    const discard = (refused: OutputFormat) => rm(options.output(deliverables.length, refused), { force: true });
    const format = isHeld || !options.format ? wanted : fallbackFormat;
    const made = await writeOr(write, format, options.format ? discard : null);
    if (made.problem) problems.push(made.problem);
    deliverables.push({
      ...{ file: options.output(deliverables.length, made.format), format: made.format },
      ...{ parts: [...new Set(group.map(({ index }) => index))], durationMs: made.durationMs },
      ...(problems.length > 0 ? { problem: problems.join(' ') } : {}),
    });
    doneMs += partsMs;
    options.onProgress?.(doneMs / allMs);
  }
  return deliverables;
}

/** What the format does not take against all that is known of it is put into one that takes everything, unless it must not be. */
async function writeOr(
  write: (format: OutputFormat) => Promise<Written>,
  format: OutputFormat,
  discard: ((refused: OutputFormat) => Promise<void>) | null,
): Promise<Written & { format: OutputFormat }> {
  try {
    return { ...(await write(format)), format };
  } catch (error) {
    if (format === fallbackFormat || !discard || !isRefused(error)) throw error;
    await discard(format);
    const made = await write(fallbackFormat);
    const problem = `${formats[format].name} did not take it: ${error instanceof Error ? error.message : error}`;
    return { ...made, format: fallbackFormat, problem };
  }
}

function unheld(format: OutputFormat, { video, audio }: Codecs): string {
  const codecs = [video, audio].filter((codec) => codec !== null).join(' and ');
  return `${formats[format].name} does not hold ${codecs}: a ${formats[fallbackFormat].name} file was made.`;
}
