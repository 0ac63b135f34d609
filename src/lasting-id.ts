/** Ids that are made once and kept in a file. */
import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** The id in the file, which is made of `prefix` and twelve characters when there is none yet. Its folder must exist. */
export function lastingId(file: string, prefix = ''): string {
  const id = randomUUID();
  const draft = `${file}.${id}`;
  writeFileSync(draft, prefix + id.slice(0, 12));
  try {
    // Unlike a rename, a link never replaces the id that another process has just made.
    linkSync(draft, file);
  } catch {
    // It is there already, or this file system has no links.
    if (!existsSync(file)) renameSync(draft, file);
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(file, 'utf8').trim();
}
