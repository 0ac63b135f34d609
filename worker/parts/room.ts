/** How much of a disk recordings may take, and how much of it the files will need that are made of them. */
import { statfsSync } from 'node:fs';

/** Bytes that may still be written below the folder. Throws when the disk does not say. */
export function freeIn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

export interface Recorded {
  /** Of all parts together. */
  bytes: number;
  parts: number;
  /** Of all track files together. */
  trackBytes: number;
}

/**
 * What making a job's files takes besides what was recorded: a copy of all parts, and when they are joined one of each before. With
 * tracks, one of everything for the tar, and of a single track, which may be all there is.
 */
export function joiningBytes({ bytes, parts, trackBytes }: Recorded): number {
  return bytes * (parts > 1 ? 2 : 1) + (trackBytes > 0 ? bytes + 2 * trackBytes : 0);
}
