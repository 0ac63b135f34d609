/** What finalizing a job made, and its copy on disk, which outlives the parts. */
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { MeasuredPart, PlayerPieces } from '../../src/services/deliverables.js';
import type { DeliveredFile } from '../../src/services/delivered-files.js';
import { syncFolder } from '../parts/manifest.js';

/** `startedAt`: wall clock of the first picture. `endCause`: HOST_DIED when the host could not say. */
export interface FinalizedPart extends MeasuredPart {
  /** Set when the part is in no file of the result; says why. */
  problem?: string;
}

export interface FinalizedTrack {
  incarnation: number;
  number: number;
  bytes: number;
  /** There is media in it, but nobody could read it. */
  unreadable?: boolean;
}

export interface FinalizedJob {
  /** Media in the result, all parts together. Zero: nothing was recorded. */
  recordedMs: number;
  /** In order of recording. */
  parts: FinalizedPart[];
  /** In the same order; left out where none were recorded. */
  tracks?: FinalizedTrack[];
  /** The first VIDEO is the first part's; there are more when the picture's size or the codecs changed on the way. */
  files: DeliveredFile[];
  /** Pieces that were delivered before, and are none of the files; left out where there were none. */
  deliveredBefore?: number;
  /** Why files are not as they were asked for; left out where all are. */
  problems?: string[];
  /** Left out where nothing was made for players. */
  pieces?: PlayerPieces;
}

/** The outcome, and which part files it needs no longer. */
interface Kept {
  /** Of the files. */
  version: number;
  outcome: FinalizedJob;
  /** Paths relative to the job's folder. */
  removable: string[];
}

/** In the folder of a job that has been finalized. */
export const keptFile = 'finalized.json';

/** Writes the outcome beside the parts: whole or not at all. */
export async function keepOutcome(jobFolder: string, kept: Kept): Promise<void> {
  const text = JSON.stringify(kept, (_key, value) =>
    isBuffer(value) ? Buffer.from(value.data).toString('base64') : value,
  );
  const draft = join(jobFolder, `${keptFile}.draft`);
  const handle = await open(draft, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, join(jobFolder, keptFile));
  syncFolder(jobFolder);
}

/** The outcome of an earlier run, or null. */
export async function readOutcome(jobFolder: string): Promise<Kept | null> {
  let text: string;
  try {
    text = await readFile(join(jobFolder, keptFile), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const { version, outcome, removable } = JSON.parse(text) as Kept;
  return {
    version,
    outcome: {
      ...outcome,
      parts: outcome.parts.map((part) => ({ ...part, startedAt: new Date(part.startedAt) })),
      files: outcome.files.map((file) => ({
        ...file,
        sha256: Buffer.from(file.sha256 as unknown as string, 'base64'),
      })),
    },
    removable,
  };
}

function isBuffer(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return typeof value === 'object' && value !== null && (value as { type?: unknown }).type === 'Buffer';
}
