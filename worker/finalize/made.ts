/** A file that was made of what was recorded, with what is told of it. */
import { createHash, randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import type { DeliveredFile } from '../../src/services/delivered-files.js';
import type { FinalizeOptions } from './finalize-options.js';
import type { FinalizedJob, FinalizedPart, FinalizedTrack } from './outcome.js';

/** Nobody guesses 96 bits. */
const keyBytes = 12;
const pieceBytes = 1 << 20;

export interface Made {
  path: string;
  file: DeliveredFile;
}

/** What is made of the parts and tracks of a job. */
export interface MadeFiles {
  files: Made[];
  parts: FinalizedPart[];
  tracks: FinalizedTrack[];
  pieces?: FinalizedJob['pieces'];
  problems: string[];
  recordedMs: number;
  /** Paths of what they were made of, relative to the job's folder. */
  removable: string[];
}

/** Flushes a finished file to disk, and reads its checksum meanwhile. */
export async function describe(
  options: Pick<FinalizeOptions, 'jobId' | 'signal'>,
  path: string,
  about: Omit<DeliveredFile, 'storageKey' | 'sizeBytes' | 'sha256'>,
): Promise<Made> {
  const [, sha256] = await Promise.all([flush(path), checksum(path, options.signal)]);
  const { size } = await stat(path);
  // Keys have no spaces; names of one job differ in more than that. The segment is this file's alone: a machine that was
  // thought lost may be storing the same file at the same time.
  const storageKey = `jobs/${options.jobId}/${randomBytes(keyBytes).toString('hex')}/${about.name.replaceAll(' ', '-')}`;
  return { path, file: { ...about, storageKey, sizeBytes: size, sha256 } };
}

async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Reads ahead while it hashes, into two buffers: a new one for every piece of a large file keeps garbage collection busy. */
async function checksum(path: string, signal: AbortSignal | undefined): Promise<Buffer> {
  const hash = createHash('sha256');
  const handle = await open(path);
  try {
    const buffers: Buffer[] = [Buffer.allocUnsafe(pieceBytes), Buffer.allocUnsafe(pieceBytes)];
    let reading = handle.read(buffers[0] as Buffer, 0, pieceBytes, null);
    for (let index = 1; ; index++) {
      const { bytesRead, buffer } = await reading;
      signal?.throwIfAborted();
      if (bytesRead === 0) return hash.digest();
      reading = handle.read(buffers[index % 2] as Buffer, 0, pieceBytes, null);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}
