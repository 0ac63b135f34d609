/** Which machine this is, and where the jobs it records lie. */
import { accessSync, constants, statfsSync } from 'node:fs';
import { availableParallelism, freemem, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';
import { type Config, dataFolder } from '../src/config.js';
import { lastingId } from '../src/lasting-id.js';
import { findProgram } from './capture/child.js';

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

/** How busy it is; memory that only caches files counts as free. */
export const loadOfMachine = () => ({
  ...{ cpus: availableParallelism(), load: loadavg()[0] ?? 0 },
  ...{ memory: totalmem(), freeMemory: freemem() },
});

/** How many pages it can show at once: as many as it takes jobs that encode, if it has all that a page needs. */
export function displays({ recorder }: Config): number {
  return [recorder.chromium, 'Xvfb', 'pulseaudio'].every(isThere) ? recorder.slots : 0;
}

function isThere(program: string): boolean {
  try {
    accessSync(findProgram(program), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export const jobsFolder = (config: Config): string => dataFolder(config, 'jobs');
export const jobFolder = (config: Config, jobId: string): string => join(jobsFolder(config), jobId);
