/** Which machine this is, and where the jobs it records lie. */
import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, dataFolder } from '../src/config.js';

/** The machine's id: made once and kept in the data directory, since unfinished recordings lie there too. */
export function machineId(config: Config): string {
  const file = join(dataFolder(config), 'machine-id');
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `m-${randomUUID().slice(0, 12)}`);
  try {
    // Unlike a rename, a link never replaces the id that another process has just made.
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(file, 'utf8').trim();
}

export const jobsFolder = (config: Config): string => dataFolder(config, 'jobs');
export const jobFolder = (config: Config, jobId: string): string => join(jobsFolder(config), jobId);
