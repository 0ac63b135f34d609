/** Makes the files of a job from the parts and tracks its recorders left, and puts them into storage. */
import { copyFile, rm } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { piecesFolder } from '../../src/jobs/capture.js';
import type { RecordingOutput } from '../../src/recordings/config.js';
import { formats } from '../../src/recordings/formats.js';
import { incarnationFolder, incarnationsIn } from '../host/folders.js';
import { type JoinResult, joinParts } from '../parts/join.js';
import { kindsOf } from '../parts/measure.js';
import type { JoinedPart } from '../parts/take.js';
import { makeWorkFolder } from '../work-folder.js';
import { LessFoundError, PartsGoneError } from './finalize-errors.js';
import type { FinalizeOptions } from './finalize-options.js';
import { writeIndividual } from './individual.js';
import { describe, type Made, type MadeFiles } from './made.js';
import { recordingName, safeName } from './names.js';
import { type FinalizedJob, type FinalizedPart, type FinalizedTrack, keepOutcome, readOutcome } from './outcome.js';
import { peopleFiles } from './people-files.js';
import { makePieces } from './pieces.js';
import { makePlayable } from './playable.js';
import { findRecorded, type Recorded, type RecordedPart } from './recorded.js';
import { finishRecording } from './recording-files.js';
import { noteKeys } from './stored-keys.js';
import { finishVideo } from './video-files.js';

// Joining reads everything twice or more; hashing once. Tracks are read about as often again.
const joiningShare = 0.8;
const composedShare = 0.5;
// Encoding takes most of the time by far.
const beforeRenditionsShare = 0.1;

/**
 * Joins, probes, hashes and stores: mp4 files with a thumbnail, a tar with participants' own files where these were recorded,
 * and what explains a failed page. Nothing recorded gives `recordedMs` 0. Parts are never deleted here. May be run again at any time, also after a crash at any point or after
 * `removeParts`: what was made of the same parts is answered again, and nothing is ever stored twice under one key. Two
 * machines may do it at once: neither touches what the other has stored.
 * Throws ToolError, LengthMismatchError, PartsGoneError (for another version than was made before), LessFoundError, what the
 * storage throws, or the signal's reason.
 */
export async function finalizeJob(options: FinalizeOptions): Promise<FinalizedJob> {
  const { jobFolder, version = 1 } = options;
  const recorded = await findRecorded(jobFolder);
  const earlier = await readOutcome(jobFolder);
  const present = new Set([...recorded.parts, ...recorded.tracks].map(({ file }) => relative(jobFolder, file)));
  // Removal has begun: what is left of the parts would give less than what was stored.
  if (earlier?.removable.some((part) => !present.has(part))) {
    if (earlier.version !== version) throw new PartsGoneError();
    return earlier.outcome;
  }
  if (earlier?.version === version && isMadeOf(earlier.outcome, recorded, !options.people)) return earlier.outcome;
  const work = await makeWorkFolder(jobFolder, 'finalizing');
  try {
    const result = await makeFiles(options, recorded, work);
    const made = [...result.files, ...(await copyDiagnostics(options, recorded, work))];
    const outcome: FinalizedJob = {
      recordedMs: result.recordedMs,
      parts: result.parts,
      ...(result.tracks.length > 0 ? { tracks: result.tracks } : {}),
      ...(result.pieces ? { pieces: result.pieces } : {}),
      ...(options.deliveredPieces?.size ? { deliveredBefore: options.deliveredPieces.size } : {}),
      ...(result.problems.length > 0 ? { problems: result.problems } : {}),
      files: made.map(({ file }) => file),
    };
    await noteKeys(jobFolder, { version, keys: outcome.files.map(({ storageKey }) => storageKey) });
    for (const { path, file } of made) {
      options.signal?.throwIfAborted();
      await options.storage.put(file.storageKey, path, file.mediaType);
    }
    await keepOutcome(jobFolder, { version, outcome, removable: result.removable });
    options.onProgress?.(1);
    return outcome;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Deletes the parts that a finished `finalizeJob` made its files of, and pieces that were cut of them; to be called once these are recorded for good. A part
 * that could not be read stays, for a person to look at. Does nothing when the job was not finalized.
 */
export async function removeParts(jobFolder: string): Promise<void> {
  const kept = await readOutcome(jobFolder);
  for (const part of kept?.removable ?? []) {
    const file = resolve(jobFolder, part);
    if (file.startsWith(resolve(jobFolder) + sep)) await rm(file, { force: true });
  }
  if (!kept) return;
  for (const incarnation of incarnationsIn(jobFolder))
    await rm(join(incarnationFolder(jobFolder, incarnation), piecesFolder), { recursive: true, force: true });
}

/** Whether it would become the same again. What could not be read then is worth another try. `areFiles`: parts are. */
function isMadeOf({ parts, tracks = [] }: FinalizedJob, recorded: Recorded, areFiles: boolean): boolean {
  type Found = Pick<RecordedPart, 'incarnation' | 'number' | 'bytes'>;
  const isSame = (made: FinalizedTrack, found: Found | undefined) =>
    made.incarnation === found?.incarnation && made.number === found.number && made.bytes === found.bytes;
  const areSame = (made: readonly FinalizedTrack[], found: readonly Found[]) =>
    made.length === found.length && made.every((each, index) => !each.unreadable && isSame(each, found[index]));
  return (!areFiles || areSame(parts, recorded.parts)) && areSame(tracks, recorded.tracks);
}

async function makeFiles(options: FinalizeOptions, recorded: Recorded, work: string): Promise<MadeFiles> {
  const { output, people } = options;
  if (people) {
    const made = await peopleFiles(options, people, recorded, work);
    checkLeast(options, made.recordedMs);
    return made;
  }
  if (output?.splitMs) return splitFiles(options, { ...output, splitMs: output.splitMs }, recorded, work);
  return joinedFiles(options, recorded, work);
}

/** Of a recording that is cut by time. */
async function splitFiles(
  options: FinalizeOptions,
  output: RecordingOutput & { splitMs: number },
  recorded: Recorded,
  work: string,
): Promise<MadeFiles> {
  const { files, parts: taken, recordedMs } = await makePieces(options, output, recorded, work);
  checkLeast(options, recordedMs);
  return { files, recordedMs, tracks: [], problems: [], ...describeParts(options, recorded, taken) };
}

function checkLeast({ leastMs = 0 }: FinalizeOptions, recordedMs: number): void {
  if (recordedMs < leastMs) throw new LessFoundError(recordedMs, leastMs);
}

function describeParts({ jobFolder }: FinalizeOptions, recorded: Recorded, taken: readonly JoinedPart[]) {
  const parts = taken.map((part, index) => describePart(recorded.parts[index] as RecordedPart, part));
  const used = recorded.parts.filter((_, index) => taken[index]?.leftOut !== 'unreadable');
  return { parts, removable: used.map(({ file }) => relative(jobFolder, file)) };
}

async function joinedFiles(options: FinalizeOptions, recorded: Recorded, work: string): Promise<MadeFiles> {
  const { tools, signal, output } = options;
  const isIndividual = options.individual === true || recorded.tracks.length > 0;
  const { profiles = [] } = options;
  const share = isIndividual ? composedShare : profiles.length > 0 ? beforeRenditionsShare : 1;
  const onProgress = (fraction: number) => options.onProgress?.(fraction * share);
  const joined = await joinParts({
    parts: recorded.parts,
    output: (index, format) => join(work, `joined-${index}.${formats[format].ending}`),
    workFolder: work,
    tools,
    signal,
    ...(output && { format: output.format, fillGaps: output.fillGaps, kinds: kindsOf(output), allowSoundAlone: true }),
    onProgress: (fraction) => onProgress(fraction * joiningShare),
  });
  checkLeast(options, joined.recordedMs);
  const { parts, removable } = describeParts(options, recorded, joined.parts);
  const files: Made[] = [];
  for (const [index, deliverable] of joined.deliverables.entries()) {
    const start = parts[deliverable.parts[0] as number] as FinalizedPart;
    const name = options.fileName?.({ startedAt: start.startedAt, user: null, index: index + 1 });
    const usual = recordingName(options.name, start.startedAt);
    // Two deliverables may begin within the same second.
    const base = name ?? (index === 0 ? usual : `${usual}-${index + 1}`);
    files.push(...(await (output ? finishRecording : finishVideo)(options, deliverable, base, work)));
    onProgress(joiningShare + ((1 - joiningShare) * (index + 1)) / joined.deliverables.length);
  }
  const longest = [...joined.deliverables].sort((a, b) => b.durationMs - a.durationMs)[0];
  const playable =
    longest && profiles.length > 0
      ? await makePlayable({
          ...{ file: longest.file, profiles, workFolder: work, tools, ...(signal ? { signal } : {}) },
          ...(options.isRepeated ? { asIs: true } : {}),
          onProgress: (fraction) => options.onProgress?.(share + (1 - share) * fraction),
          onProblem: (error) => options.onUnplayable?.(error),
        })
      : null;
  for (const { path, about } of playable?.files ?? []) files.push(await describe(options, path, about));
  const tar = isIndividual ? await makeTar(options, recorded, joined, parts, work) : null;
  if (tar) files.push(tar.made);
  const tracks = tar?.tracks ?? [];
  const usedTracks = recorded.tracks.filter((_, index) => !tracks[index]?.unreadable);
  return {
    files,
    parts,
    tracks,
    ...(playable ? { pieces: playable.pieces } : {}),
    problems: joined.deliverables.flatMap(({ problem }) => problem ?? []),
    recordedMs: joined.recordedMs,
    removable: [...removable, ...usedTracks.map(({ file }) => relative(options.jobFolder, file))],
  };
}

/** Before anything is stored, which may move the files it is made of. Null when there is nothing to put into it. */
async function makeTar(
  options: FinalizeOptions,
  recorded: Recorded,
  joined: JoinResult,
  parts: FinalizedPart[],
  work: string,
): Promise<{ made: Made; tracks: FinalizedTrack[] } | null> {
  const composed = joined.deliverables;
  if (composed.length === 0 && recorded.tracks.length === 0) return null;
  const { jobId, tools, signal } = options;
  const start = parts[composed[0]?.parts[0] ?? -1]?.startedAt ?? new Date(recorded.tracks[0]?.zeroAt ?? Date.now());
  const output = join(work, 'recording.tar');
  const { tracks, durationMs } = await writeIndividual({
    ...{ jobId, recorded, composed, parts, output, workFolder: work, tools, signal },
    keptMs: joined.parts.map((part) => part.keptMs),
    onProgress: (fraction) => options.onProgress?.(composedShare + (1 - composedShare) * fraction),
  });
  const name = `${recordingName(options.name, start)}.tar`;
  const about = { kind: 'TAR', name, mediaType: 'application/x-tar', durationMs: Math.round(durationMs) } as const;
  return { made: await describe(options, output, about), tracks };
}

function describePart(part: RecordedPart, joined: JoinedPart): FinalizedPart {
  return {
    incarnation: part.incarnation,
    number: part.number,
    // Without a manifest the file's last write is the best clock there is: right to a quarter of a second.
    startedAt: new Date(joined.startedAt ?? part.lastWrittenAt - joined.durationMs),
    durationMs: joined.durationMs,
    bytes: part.bytes,
    endCause: part.endCause ?? (part.fetched ? 'MACHINE_LOST' : 'HOST_DIED'),
    ...(part.saidMs === null ? {} : { saidMs: part.saidMs }),
    ...(joined.leftOut === 'unreadable' ? { unreadable: true } : {}),
    ...(joined.problem === undefined ? {} : { problem: joined.problem }),
  };
}

async function copyDiagnostics(
  options: FinalizeOptions,
  { screenshot, consoleLog }: { screenshot: string | null; consoleLog: string | null },
  work: string,
): Promise<Made[]> {
  const name = safeName(options.name);
  const wanted = [
    { from: screenshot, kind: 'SCREENSHOT', name: `${name}-page.png`, mediaType: 'image/png' },
    { from: consoleLog, kind: 'LOG', name: `${name}-console.log`, mediaType: 'text/plain; charset=utf-8' },
  ] as const;
  const made: Made[] = [];
  for (const { from, ...about } of wanted) {
    if (!from) continue;
    // A copy, because storing may move the file, and the original is needed when this runs again.
    const path = join(work, about.name);
    await copyFile(from, path);
    made.push(await describe(options, path, about));
  }
  return made;
}
