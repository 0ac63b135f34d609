/** Brings back what recorder hosts on lost machines had shipped, to where finalizing looks for parts. */
import { readdirSync, statSync } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostFiles, trackFilePattern } from '../../src/jobs/capture.js';
import type { PartStore } from '../../src/storage/parts.js';
import { megabytes, StorageFullError, StorageUnavailableError } from '../../src/storage/storage.js';
import { findHost } from '../host/client.js';
import { incarnationFolder, incarnationsIn } from '../host/folders.js';
import { syncFolder } from '../parts/manifest.js';
import { freeIn, joiningBytes, type WantedFiles } from '../parts/room.js';
import { makeWorkFolder } from '../work-folder.js';
import {
  fetchedMark,
  gaplessRanges,
  isGrowing,
  jobPrefix,
  readListing,
  type ShippedIncarnation,
  type ShippedRange,
} from './keys.js';

const smallFiles: readonly string[] = [hostFiles.manifest, hostFiles.screenshot, hostFiles.console];
const attempts = 3;
const pauseMs = 500;

export interface FetchOptions {
  store: PartStore;
  /** `jobs/<jobId>` in this machine's data directory. */
  jobFolder: string;
  jobId: string;
  /** What is to stay free on this machine's disk, for what it records meanwhile. */
  diskReserveBytes: number;
  /** What is to be made of them: one file of everything when left out. */
  wanted?: WantedFiles;
  signal?: AbortSignal;
}

/**
 * Completes the job's folder with what the store has and the folder has not: parts and track files up to the first hole, manifests,
 * screenshots and console logs. Each is there whole or not at all. One that is there stays, unless the store has more of it and nobody
 * writes it: a power cut took its end, and it is put aside. Answers how many parts and track files came. May be run again at any time.
 * Throws StorageUnavailableError, StorageFullError when this disk has no room to fetch and join, or the signal's reason.
 */
export async function fetchShippedParts(options: FetchOptions): Promise<{ fetched: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetchMissing(options);
    } catch (error) {
      // Small objects may be merged while they are listed and read: the next listing shows the large one.
      if (!(error instanceof StorageUnavailableError) || attempt === attempts) throw error;
      await sleep(pauseMs * attempt, undefined, { signal: options.signal });
    }
  }
}

/** Removes all that was shipped of a job. Throws StorageUnavailableError. */
export async function removeShippedParts(store: PartStore, jobId: string): Promise<void> {
  await store.removeAll(jobPrefix(jobId));
}

interface Missing {
  shipped: ShippedIncarnation;
  folder: string;
  parts: { file: string; ranges: ShippedRange[] }[];
  files: string[];
}

async function fetchMissing({
  store,
  jobFolder,
  jobId,
  diskReserveBytes,
  wanted: wantedFiles,
  signal,
}: FetchOptions): Promise<{ fetched: number }> {
  const listed = readListing(jobId, await store.list(jobPrefix(jobId), signal));
  const missing = listed.map((shipped) => missingOf(shipped, incarnationFolder(jobFolder, shipped.incarnation)));
  const wanted = missing.filter(({ parts, files }) => parts.length + files.length > 0);
  if (wanted.length === 0) return { fetched: 0 };
  const work = await makeWorkFolder(jobFolder, 'fetching');
  try {
    if (wanted.some(({ parts }) => parts.length > 0)) checkRoom(wanted, jobFolder, diskReserveBytes, wantedFiles);
    let fetched = 0;
    for (const each of wanted) {
      const draft = join(work, `i${each.shipped.incarnation}`);
      await mkdir(draft);
      // In the order in which they mean something: parts count by being there, and then the rest must be known of them.
      for (const name of each.files)
        await fetchFile(store, each.shipped.files.get(name)?.key ?? '', join(draft, name), signal);
      for (const part of each.parts) await fetchPart(store, part, draft, signal);
      await moveIn(draft, each.folder);
      fetched += each.parts.length;
    }
    return { fetched };
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

function missingOf(shipped: ShippedIncarnation, folder: string): Missing {
  const sizeHere = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? null;
  const isWritten = findHost(folder) !== null;
  const hasLess = (part: string, shippedBytes: number) => {
    const bytes = sizeHere(part);
    return bytes === null || (bytes < shippedBytes && !isWritten);
  };
  return {
    shipped,
    folder,
    files: smallFiles.filter((name) => shipped.files.has(name) && sizeHere(name) === null),
    parts: shipped.parts
      .map(({ file, ranges }) => ({ file, ranges: gaplessRanges(ranges) }))
      .filter(({ file, ranges }) => ranges.length > 0 && hasLess(file, bytesIn(ranges))),
  };
}

const bytesIn = (ranges: readonly ShippedRange[]): number => ranges.at(-1)?.to ?? 0;

/** Joining comes next: to fetch what cannot be joined would only take the room from what this machine records. */
function checkRoom(wanted: Missing[], jobFolder: string, reserveBytes: number, files?: WantedFiles): void {
  const sizes = new Map(partsIn(jobFolder).map((path) => [path, statSync(path).size]));
  let neededBytes = reserveBytes;
  for (const { folder, parts } of wanted) {
    for (const { file, ranges } of parts) {
      sizes.set(join(folder, file), bytesIn(ranges));
      neededBytes += bytesIn(ranges);
    }
  }
  const all = [...sizes].map(([path, size]) => ({ size, isTrack: trackFilePattern.test(basename(path)) }));
  const sum = (files: { size: number }[]) => files.reduce((total, { size }) => total + size, 0);
  const parts = all.filter(({ isTrack }) => !isTrack);
  const trackBytes = sum(all.filter(({ isTrack }) => isTrack));
  neededBytes += joiningBytes({ bytes: sum(parts), trackBytes }, files);
  const freeBytes = freeIn(jobFolder);
  if (neededBytes <= freeBytes) return;
  throw new StorageFullError(
    `The data directory has no room for the parts from the storage: ${megabytes(freeBytes)} MB are free, ${megabytes(neededBytes)} MB ` +
      'are needed to fetch and join them. Delete recordings or enlarge the disk, and the job goes on.',
  );
}

function partsIn(jobFolder: string): string[] {
  return incarnationsIn(jobFolder).flatMap((incarnation) => {
    const folder = incarnationFolder(jobFolder, incarnation);
    const parts = readdirSync(folder).filter((name) => isGrowing(name));
    return parts.map((name) => join(folder, name));
  });
}

async function fetchFile(store: PartStore, key: string, path: string, signal?: AbortSignal): Promise<void> {
  const target = await open(path, 'wx');
  try {
    const bytes = await store.copyInto(key, target, 0, signal);
    if (bytes === null) throw gone(key);
    await syncWhole(target, path, bytes);
  } finally {
    await target.close();
  }
}

async function fetchPart(
  store: PartStore,
  { file, ranges }: { file: string; ranges: ShippedRange[] },
  folder: string,
  signal?: AbortSignal,
): Promise<void> {
  const path = join(folder, file);
  const target = await open(path, 'wx');
  try {
    for (const { key, from, to } of ranges) {
      const bytes = await store.copyInto(key, target, from, signal);
      if (bytes !== to - from) throw gone(key);
    }
    await syncWhole(target, path, bytesIn(ranges));
  } finally {
    await target.close();
  }
  // Without a manifest, the time of the last written byte is all that says when it was recorded.
  const writtenAt = (ranges.at(-1)?.storedAt ?? Date.now()) / 1000;
  await utimes(path, writtenAt, writtenAt);
  await (await open(join(folder, fetchedMark(file)), 'wx')).close();
}

/** What is deleted elsewhere because it is here must be here. */
async function syncWhole(target: FileHandle, path: string, bytes: number): Promise<void> {
  await target.sync();
  const { size } = await target.stat();
  if (size !== bytes) throw new Error(`${path} has ${size} bytes after ${bytes} were written to it.`);
}

function gone(key: string): StorageUnavailableError {
  return new StorageUnavailableError(`The storage listed ${key}, but has it no more. It is looked for again.`);
}

/** Gives a folder its place, or the files in it theirs, if the folder is there already. */
async function moveIn(draft: string, folder: string): Promise<void> {
  syncFolder(draft);
  try {
    // Only an empty folder is replaced by it.
    await rename(draft, folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    const names = await readdir(draft);
    // The mark first: a part must not be taken for one of this machine. The part itself last.
    for (const name of names.sort((a, b) => rank(a) - rank(b))) await place(name, draft, folder);
    syncFolder(folder);
  }
  syncFolder(join(folder, '..'));
}

/** A file that is there stays, a shorter part under another name, which goes with the folder. */
async function place(name: string, draft: string, folder: string): Promise<void> {
  if (await linked(join(draft, name), join(folder, name))) return;
  const [ours, theirs] = await Promise.all([stat(join(folder, name)), stat(join(draft, name))]);
  if (rank(name) === 0 || ours.size >= theirs.size) return;
  await linked(join(folder, name), join(folder, `${name}.cut`));
  await rename(join(draft, name), join(folder, name));
}

/** Gives a file a second name; false when that is taken. */
async function linked(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  }
}

const rank = (name: string): number => (name.endsWith('.mkv') ? 1 : 0);
