/** Folders in a job's own, in which what is not finished yet is made or fetched. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const works = ['finalizing', 'fetching'] as const;
export type FolderWork = (typeof works)[number];

/** A new one each time, and the last ones are removed: an ffmpeg that outlived its worker may still be writing there. */
export async function makeWorkFolder(jobFolder: string, work: FolderWork): Promise<string> {
  await mkdir(jobFolder, { recursive: true });
  await removeWorkFolders(jobFolder, [work]);
  return mkdtemp(join(jobFolder, `${work}-`));
}

/** Removes what a process left behind that died. Does nothing when there is no such job. */
export async function removeWorkFolders(jobFolder: string, of: readonly FolderWork[] = works): Promise<void> {
  if (!existsSync(jobFolder)) return;
  for (const name of await readdir(jobFolder)) {
    if (of.some((work) => name.startsWith(`${work}-`)))
      await rm(join(jobFolder, name), { recursive: true, force: true, maxRetries: 3 });
  }
}
