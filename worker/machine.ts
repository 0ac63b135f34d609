/** Which machine this is, and where the jobs it records lie. */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, dataFolder } from '../src/config.js';
import { lastingId } from '../src/lasting-id.js';

/** The machine's id: made once and kept in the data directory, since unfinished recordings lie there too. */
export function machineId(config: Config): string {
  return lastingId(join(dataFolder(config), 'machine-id'), 'm-');
}

/** What recordings may still take on the disk, bytes; null when the disk does not say. */
export function freeBytes(config: Config): number | null {
  try {
    const { bavail, bsize } = statfsSync(jobsFolder(config));
    return Math.max(0, bavail * bsize - config.diskReserveBytes);
  } catch {
    return null;
  }
}

export const jobsFolder = (config: Config): string => dataFolder(config, 'jobs');
export const jobFolder = (config: Config, jobId: string): string => join(jobsFolder(config), jobId);
