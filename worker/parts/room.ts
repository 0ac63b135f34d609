/** How much of a disk recordings may take, and how much of it the files will need that are made of them. */
import { statfsSync } from 'node:fs';
import type { PageSource } from '../../src/jobs/capture.js';

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

/** Which files are made of a job. */
export interface WantedFiles extends Pick<PageSource, 'keep' | 'hasAudio' | 'hasVideo'> {
  /** Renditions for players too. */
  renditions?: boolean;
}

/**
 * What making a job's files takes besides what was recorded: a copy of all parts. With tracks, one of everything for the tar, and of a single track, which may be all there is. Of one kind of media alone, one more;
 * renditions are about as large as two.
 */
export function joiningBytes(
  { bytes, trackBytes }: Pick<Recorded, 'bytes' | 'trackBytes'>,
  wanted: WantedFiles = {},
): number {
  const { keep = true, hasAudio = true, hasVideo = true, renditions = false } = wanted;
  if (!keep) return 0;
  const copies = 1 + (hasAudio && hasVideo ? 0 : 1) + (renditions ? 2 : 0);
  return bytes * copies + (trackBytes > 0 ? bytes + 2 * trackBytes : 0);
}
