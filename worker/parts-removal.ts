/** Removing the parts of a job whose files are made, here and in the storage. */
import { mkdir } from 'node:fs/promises';
import type { Config } from '../src/config.js';
import type { Captures } from '../src/services/captures.js';
import type { PartStore } from '../src/storage/parts.js';
import { removeParts } from './finalize/finalize.js';
import { jobFolder } from './machine.js';
import { removeShippedParts } from './shipping/fetch.js';

export interface PartsRemovalDeps {
  config: Config;
  captures: Captures;
  parts: PartStore | null;
}

/**
 * Writes down that the parts go, then removes them. The job's folder stands for what is still to be removed: should this fail or
 * be cut short, the sweep finds it. Throws StorageUnavailableError.
 */
export async function letPartsGo({ config, captures, parts }: PartsRemovalDeps, jobId: string): Promise<void> {
  const folder = jobFolder(config, jobId);
  await mkdir(folder, { recursive: true });
  await captures.partsRemoved(jobId);
  await removeParts(folder);
  if (parts) await removeShippedParts(parts, jobId);
}
