/** Makes the files of a job from the parts its recorders left, and puts them into storage. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rm, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { DeliveredFile } from '../../src/services/deliverables.js';
import type { Storage } from '../../src/storage/storage.js';
import { probe } from '../ffmpeg/probe.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { type Deliverable, type JoinedPart, joinParts } from '../parts/join.js';
import { makeWorkFolder } from '../work-folder.js';
import { recordingName, safeName } from './names.js';
import { type FinalizedJob, type FinalizedPart, keepOutcome, readOutcome } from './outcome.js';
import { findRecorded, type RecordedPart } from './recorded.js';
import { noteKeys } from './stored-keys.js';
import { takeThumbnail } from './thumbnail.js';

export interface FinalizeOptions {
  /** `jobs/<jobId>` in the data directory of the machine that recorded. */
  jobFolder: string;
  jobId: string;
  /** Counts up when the files are made again. */
  version?: number;
  /** What earlier files hold, milliseconds: less is not worth another version. */
  leastMs?: number;
  /** The user's name for it; becomes part of the file names. */
  name: string;
  storage: Pick<Storage, 'put'>;
  tools: MediaTools;
  signal?: AbortSignal;
  /** Called at least once a second while ffmpeg works; 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/** The result does not have the length of its parts: something would be missing without anyone knowing. */
export class LengthMismatchError extends Error {
  override name = 'LengthMismatchError';
  constructor(
    readonly file: string,
    readonly resultMs: number,
    readonly partsMs: number,
  ) {
    super(
      `${file} would last ${Math.round(resultMs)} ms, but its parts last ${Math.round(partsMs)} ms together. The parts are kept; ` +
        'look at them with ffprobe.',
    );
  }
}

/** Parts of the job that earlier files were made of are not there any more. */
export class PartsGoneError extends Error {
  override name = 'PartsGoneError';
  constructor() {
    super('The parts of the recording are not there any more: its files cannot be made again.');
  }
}

/** Less was found than earlier files of the job hold. */
export class LessFoundError extends Error {
  override name = 'LessFoundError';
  constructor(foundMs: number, leastMs: number) {
    super(
      `Only ${seconds(foundMs)} of the recording were found, but its files hold ${seconds(leastMs)}: no shorter ones are made. ` +
        'Other parts may be on a machine that is away: start its recorder worker and ask again. Without a storage that all ' +
        'machines share, each can only use its own.',
    );
  }
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

// Joining reads everything twice or more; hashing once.
const joiningShare = 0.8;
const seamToleranceMs = 50;
/** Nobody guesses 96 bits. */
const keyBytes = 12;

/**
 * Joins, probes, hashes and stores: mp4 files with a thumbnail, and what explains a failed page. Nothing recorded gives
 * `recordedMs` 0. Parts are never deleted here. May be run again at any time, also after a crash at any point or after
 * `removeParts`: what was made of the same parts is answered again, and nothing is ever stored twice under one key. Two
 * machines may do it at once: neither touches what the other has stored.
 * Throws ToolError, LengthMismatchError, PartsGoneError (for another version than was made before), LessFoundError, what the
 * storage throws, or the signal's reason.
 */
export async function finalizeJob(options: FinalizeOptions): Promise<FinalizedJob> {
  const { jobFolder, version = 1 } = options;
  const recorded = await findRecorded(jobFolder);
  const earlier = await readOutcome(jobFolder);
  const present = new Set(recorded.parts.map(({ file }) => relative(jobFolder, file)));
  // Removal has begun: what is left of the parts would give less than what was stored.
  if (earlier?.removable.some((part) => !present.has(part))) {
    if (earlier.version !== version) throw new PartsGoneError();
    return earlier.outcome;
  }
  if (earlier?.version === version && isMadeOf(earlier.outcome, recorded.parts)) return earlier.outcome;
  const work = await makeWorkFolder(jobFolder, 'finalizing');
  try {
    const result = await makeFiles(options, recorded.parts, work);
    const made = [...result.files, ...(await copyDiagnostics(options, recorded, work))];
    const outcome: FinalizedJob = {
      recordedMs: result.recordedMs,
      parts: result.parts,
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
 * Deletes the parts that a finished `finalizeJob` made its files of; to be called once these are recorded for good. A part
 * that could not be read stays, for a person to look at. Does nothing when the job was not finalized.
 */
export async function removeParts(jobFolder: string): Promise<void> {
  const kept = await readOutcome(jobFolder);
  for (const part of kept?.removable ?? []) {
    const file = resolve(jobFolder, part);
    if (file.startsWith(resolve(jobFolder) + sep)) await rm(file, { force: true });
  }
}

/** Whether it would become the same again. What could not be read then is worth another try. */
function isMadeOf({ parts }: FinalizedJob, recorded: RecordedPart[]): boolean {
  const isSame = (part: FinalizedPart, { incarnation, number, bytes }: RecordedPart) =>
    part.incarnation === incarnation && part.number === number && part.bytes === bytes && !part.unreadable;
  return (
    parts.length === recorded.length && parts.every((part, index) => isSame(part, recorded[index] as RecordedPart))
  );
}

interface Made {
  path: string;
  file: DeliveredFile;
}

async function makeFiles(options: FinalizeOptions, recorded: RecordedPart[], work: string) {
  const { tools, signal, onProgress } = options;
  const joined = await joinParts({
    parts: recorded,
    output: (index) => join(work, `joined-${index}.mp4`),
    workFolder: work,
    tools,
    signal,
    onProgress: (fraction) => onProgress?.(fraction * joiningShare),
  });
  const { leastMs = 0 } = options;
  if (joined.recordedMs < leastMs) throw new LessFoundError(joined.recordedMs, leastMs);
  const parts = joined.parts.map((part, index) => describePart(recorded[index] as RecordedPart, part));
  const removable = recorded.filter((_, index) => joined.parts[index]?.leftOut !== 'unreadable');
  const files: Made[] = [];
  for (const [index, deliverable] of joined.deliverables.entries()) {
    const start = parts[deliverable.parts[0] as number] as FinalizedPart;
    const name = recordingName(options.name, start.startedAt);
    // Two deliverables may begin within the same second.
    const base = index === 0 ? name : `${name}-${index + 1}`;
    files.push(...(await finishDeliverable(options, deliverable, base, work)));
    onProgress?.(joiningShare + ((1 - joiningShare) * (index + 1)) / joined.deliverables.length);
  }
  return {
    files,
    parts,
    recordedMs: joined.recordedMs,
    removable: removable.map(({ file }) => relative(options.jobFolder, file)),
  };
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

async function finishDeliverable(
  options: FinalizeOptions,
  joined: Deliverable,
  base: string,
  work: string,
): Promise<Made[]> {
  const { tools, signal } = options;
  const facts = await probe(joined.file, { ffprobe: tools.ffprobe, signal });
  const lengthMs = facts.video?.durationMs ?? 0;
  const frameMs = facts.video && facts.video.fps > 0 ? 1000 / facts.video.fps : 0;
  if (Math.abs(lengthMs - joined.durationMs) > frameMs + seamToleranceMs * joined.parts.length) {
    throw new LengthMismatchError(`${base}.mp4`, lengthMs, joined.durationMs);
  }
  const thumbnail = join(work, `${base}.jpg`);
  // About a tenth in: the first picture is often a page that is still empty.
  await takeThumbnail(joined.file, lengthMs / 10, thumbnail, { ...tools, signal });
  const poster = (await probe(thumbnail, { ffprobe: tools.ffprobe, signal })).video;
  return [
    await describe(options, joined.file, {
      kind: 'VIDEO',
      name: `${base}.mp4`,
      mediaType: 'video/mp4',
      durationMs: Math.round(facts.durationMs),
      width: facts.video?.width,
      height: facts.video?.height,
      videoCodec: facts.video?.codec,
      audioCodec: facts.audio?.codec,
    }),
    await describe(options, thumbnail, {
      kind: 'THUMBNAIL',
      name: `${base}.jpg`,
      mediaType: 'image/jpeg',
      width: poster?.width,
      height: poster?.height,
    }),
  ];
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

/** Flushes a finished file to disk and reads its checksum. */
async function describe(
  options: FinalizeOptions,
  path: string,
  about: Omit<DeliveredFile, 'storageKey' | 'sizeBytes' | 'sha256'>,
): Promise<Made> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal: options.signal }))
    hash.update(chunk);
  const { size } = await stat(path);
  // Keys have no spaces; names of one job differ in more than that. The segment is this file's alone: a machine that was
  // thought lost may be storing the same file at the same time.
  const storageKey = `jobs/${options.jobId}/${randomBytes(keyBytes).toString('hex')}/${about.name.replaceAll(' ', '-')}`;
  return { path, file: { ...about, storageKey, sizeBytes: size, sha256: hash.digest() } };
}
