/** Makes the files of a job from the parts its recorders left, and puts them into storage. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, open, readdir, rm, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import type { DeliveredFile } from '../../src/services/captures.js';
import type { Storage } from '../../src/storage/storage.js';
import { probe } from '../ffmpeg/probe.js';
import type { MediaTools } from '../ffmpeg/run.js';
import { type Deliverable, type JoinedPart, joinParts } from '../parts/join.js';
import { recordingName, safeName } from './names.js';
import { type FinalizedJob, type FinalizedPart, keepOutcome, readOutcome } from './outcome.js';
import { findRecorded, type RecordedPart } from './recorded.js';
import { takeThumbnail } from './thumbnail.js';

export interface FinalizeOptions {
  /** `jobs/<jobId>` in the data directory of the machine that recorded. */
  jobFolder: string;
  jobId: string;
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

const workFolderPrefix = 'finalizing-';
// Joining reads everything twice or more; hashing once.
const joiningShare = 0.8;
const seamToleranceMs = 50;

/**
 * Joins, probes, hashes and stores: mp4 files with a thumbnail, and what explains a failed page. Nothing recorded gives
 * `recordedMs` 0. Parts are never deleted here. May be run again at any time, also after a crash at any point or after
 * `removeParts`: the same parts give the same files under the same keys.
 * Throws ToolError, LengthMismatchError, what the storage throws, or the signal's reason.
 */
export async function finalizeJob(options: FinalizeOptions): Promise<FinalizedJob> {
  const { jobFolder } = options;
  const recorded = await findRecorded(jobFolder);
  const earlier = await readOutcome(jobFolder);
  const present = new Set(recorded.parts.map(({ file }) => relative(jobFolder, file)));
  // Removal has begun: what is left of the parts would give less than what was stored.
  if (earlier?.removable.some((part) => !present.has(part))) return earlier.outcome;
  const work = await makeWorkFolder(jobFolder);
  try {
    const result = await makeFiles(options, recorded.parts, work);
    const diagnostics = await copyDiagnostics(options, recorded, work);
    for (const { path, file } of [...result.files, ...diagnostics]) {
      options.signal?.throwIfAborted();
      await options.storage.put(file.storageKey, path, file.mediaType);
    }
    const outcome: FinalizedJob = {
      recordedMs: result.recordedMs,
      parts: result.parts,
      files: [...result.files, ...diagnostics].map(({ file }) => file),
    };
    await keepOutcome(jobFolder, { outcome, removable: result.removable });
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

/** A new one each time: an ffmpeg that outlived its worker may still be writing into the last. */
async function makeWorkFolder(jobFolder: string): Promise<string> {
  await mkdir(jobFolder, { recursive: true });
  for (const name of await readdir(jobFolder)) {
    if (name.startsWith(workFolderPrefix))
      await rm(join(jobFolder, name), { recursive: true, force: true, maxRetries: 3 });
  }
  return mkdtemp(join(jobFolder, workFolderPrefix));
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
    endCause: part.endCause ?? 'HOST_DIED',
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
  // Keys have no spaces; names of one job differ in more than that.
  const storageKey = `jobs/${options.jobId}/${about.name.replaceAll(' ', '-')}`;
  return { path, file: { ...about, storageKey, sizeBytes: size, sha256: hash.digest() } };
}
