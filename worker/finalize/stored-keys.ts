/** Remembers under which keys files of a job were stored from this machine, so that what became no result can be removed. */
import { appendFile, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Storage } from '../../src/storage/storage.js';

const noteFile = 'stored-keys.jsonl';

interface Note {
  /** Of the files. */
  version: number;
  keys: string[];
}

/** To be called before anything is stored under the keys. */
export async function noteKeys(jobFolder: string, note: Note): Promise<void> {
  await appendFile(join(jobFolder, noteFile), `${JSON.stringify(note)}\n`);
}

/**
 * Removes what attempts of this machine stored for a version, or for any, but for the keys that are results. To be called once
 * it is written down which these are: no other attempt's can become one any more. Throws what the storage throws.
 */
export async function removeOtherKeys(
  jobFolder: string,
  results: readonly string[],
  storage: Pick<Storage, 'remove'>,
  version?: number,
): Promise<void> {
  const path = join(jobFolder, noteFile);
  const notes = await readNotes(path);
  const isOver = (note: Note) => version === undefined || note.version === version;
  for (const key of notes.filter(isOver).flatMap((note) => note.keys)) {
    if (!results.includes(key)) await storage.remove(key);
  }
  const others = notes.filter((note) => !isOver(note));
  if (others.length === 0) return rm(path, { force: true });
  await writeFile(`${path}.draft`, others.map((note) => `${JSON.stringify(note)}\n`).join(''));
  await rename(`${path}.draft`, path);
}

async function readNotes(path: string): Promise<Note[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Note];
    } catch {
      // Torn by a crash: nothing was stored under these yet.
      return [];
    }
  });
}
