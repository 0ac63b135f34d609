/** The manifest of one incarnation: which media exists, written by its host line by line, each on disk before the next step. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { hostFiles, type ManifestEntry } from '../../src/jobs/capture.js';
import { isDiskFull } from '../../src/storage/storage.js';

export interface ManifestWriter {
  /** Returns when the line is on disk. Throws when the disk refuses it. */
  append(entry: ManifestEntry): void;
  close(): void;
}

// Room for some hundred lines, given up when the disk is full: that the parts ended, and why, must still be told.
const reserveBytes = 65_536;

/** Opens the manifest of a folder for appending. There must be one writer only. */
export function openManifest(folder: string): ManifestWriter {
  const reserve = join(folder, 'manifest.reserve');
  writeFileSync(reserve, Buffer.alloc(reserveBytes));
  const descriptor = openSync(join(folder, hostFiles.manifest), 'a');
  syncFolder(folder);
  return {
    append(entry) {
      const line = Buffer.from(`${JSON.stringify(entry)}\n`);
      const { size } = fstatSync(descriptor);
      try {
        writeWhole(descriptor, line);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        ftruncateSync(descriptor, size);
        rmSync(reserve, { force: true });
        writeWhole(descriptor, line);
      }
      fsyncSync(descriptor);
    },
    close() {
      closeSync(descriptor);
      rmSync(reserve, { force: true });
    },
  };
}

/** A disk that is nearly full takes a part of it, and refuses only the rest. */
function writeWhole(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

export interface ManifestReading {
  entries: ManifestEntry[];
  /** Where to read on; a line that was not complete yet is read again. */
  nextByte: number;
  /** Whole lines that say nothing, and are left out: a power cut, or a disk that errs, may spoil any. */
  brokenLines: number;
}

/**
 * The whole lines from `fromByte` on; none when there is no manifest yet. What a spoiled line said is lost, the parts are not:
 * their files count.
 */
export function readManifest(folder: string, fromByte = 0): ManifestReading {
  let descriptor: number;
  try {
    descriptor = openSync(join(folder, hostFiles.manifest), 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { entries: [], nextByte: fromByte, brokenLines: 0 };
    throw error;
  }
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(descriptor).size - fromByte));
    const read = readSync(descriptor, bytes, 0, bytes.length, fromByte);
    const wholeBytes = bytes.subarray(0, read).lastIndexOf('\n') + 1;
    const lines = bytes.toString('utf8', 0, wholeBytes).split('\n').filter(Boolean);
    const entries = lines.map(entryOf).filter((entry) => entry !== null);
    return { entries, nextByte: fromByte + wholeBytes, brokenLines: lines.length - entries.length };
  } finally {
    closeSync(descriptor);
  }
}

function entryOf(line: string): ManifestEntry | null {
  try {
    const entry = JSON.parse(line) as Partial<ManifestEntry> | null;
    return typeof entry?.type === 'string' ? (entry as ManifestEntry) : null;
  } catch {
    return null;
  }
}

/** Makes the names of files in a folder survive a power cut. */
export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
