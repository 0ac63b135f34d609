/** How much of a disk recordings may take, and how much of it the files will need that are made of them. */
import { statfsSync } from 'node:fs';

/** Bytes that may still be written below the folder. Throws when the disk does not say. */
export function freeIn(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** What making a job's files takes besides its parts: a copy of all of them, and when they are joined one of each before. */
export const joiningBytes = ({ bytes, parts }: { bytes: number; parts: number }): number => bytes * (parts > 1 ? 2 : 1);
