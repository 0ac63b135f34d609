/** Small JSON files that readers always find whole: written aside, then renamed over the old one. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../parts/manifest.js';

/** Writes the value; with `durable` it survives a power cut once this returns. */
export function writeJson(file: string, value: unknown, { durable }: { durable: boolean }): void {
  const aside = `${file}.${process.pid}.new`;
  // For its own user alone: stream keys and tokens may be in it.
  const descriptor = openSync(aside, 'w', 0o600);
  try {
    // Writes all of it or throws: on a disk that is nearly full a single write may do only a part.
    writeFileSync(descriptor, JSON.stringify(value));
    if (durable) fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(aside, file);
  if (durable) syncFolder(dirname(file));
}

/** The value, or null when there is no such file, or a power cut left it empty. */
export function readJson<T>(file: string): T | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || error instanceof SyntaxError) return null;
    throw error;
  }
}
