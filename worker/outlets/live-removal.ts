/** Removing what a recording could be played from while it went on, once its files are there. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { liveFolder } from '../../src/rooms/live-playlist.js';
import type { PartStore } from '../../src/storage/parts.js';
import { incarnationFolder, incarnationsIn } from '../host/folders.js';
import { incarnationPrefix } from '../shipping/keys.js';

/** Of incarnations that ran on other machines too, where these shipped it. Throws StorageUnavailableError. */
export async function removeLive(jobFolder: string, jobId: string, store: PartStore | null): Promise<void> {
  const incarnations = incarnationsIn(jobFolder);
  for (const incarnation of incarnations)
    await rm(join(incarnationFolder(jobFolder, incarnation), liveFolder), { recursive: true, force: true });
  for (let incarnation = 1; store && incarnation <= Math.max(0, ...incarnations); incarnation++)
    await store.removeAll(`${incarnationPrefix(jobId, incarnation)}${liveFolder}/`);
}
