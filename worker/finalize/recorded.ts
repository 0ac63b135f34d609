/** Finds what a job's recorder hosts left on disk: parts, track files, what manifests say of them, and what explains a failed page. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  hostFiles,
  type ManifestEntry,
  type PartEnd,
  type PieceEntry,
  partFilePattern,
  type TrackEnd,
  type TrackOrigin,
  trackFilePattern,
} from '../../src/jobs/capture.js';
import { knownInOrder } from '../parts/cuts.js';
import { readManifest } from '../parts/manifest.js';
import { fetchedMark } from '../shipping/keys.js';

export interface RecordedPart {
  incarnation: number;
  number: number;
  file: string;
  bytes: number;
  /** Wall clock (epoch ms) of media time zero; null when the manifest does not say. */
  zeroAt: number | null;
  /** Wall clock (epoch ms) of the last written byte. */
  lastWrittenAt: number;
  /** Null: the host died before it could say, or what it recorded to the end did not all arrive here. */
  endCause: PartEnd | null;
  /** Its length as its host wrote it down when it ended it; null when it did not. */
  saidMs: number | null;
  /** It was brought back from the storage: its machine is lost. */
  fetched: boolean;
  /** What was cut of it while it was recorded, in order. */
  pieces: PieceEntry[];
}

export interface RecordedTrack {
  incarnation: number;
  number: number;
  file: string;
  bytes: number;
  /** Null when the manifest does not say. */
  origin: TrackOrigin | null;
  /** Wall clock (epoch ms) of media time zero; null when the manifest does not say. */
  zeroAt: number | null;
  /** Wall clock (epoch ms) of the last written byte. */
  lastWrittenAt: number;
  /** Null: the host died before it could say, or what it recorded to the end did not all arrive here. */
  endCause: TrackEnd | null;
  /** It was brought back from the storage: its machine is lost. */
  fetched: boolean;
}

/** A job's folder as it was found. */
export interface Recorded {
  /** In order of recording: by incarnation, then by number. */
  parts: RecordedPart[];
  /** In the same order. */
  tracks: RecordedTrack[];
  /** What could not be recorded to a file of its own. */
  refused: { at: number; origin: TrackOrigin; reason: string }[];
  /** Of the latest incarnation that kept one. */
  screenshot: string | null;
  consoleLog: string | null;
}

/**
 * Reads `<jobFolder>/i<incarnation>/`. The files decide which parts exist: one that the manifest does not name counts, and a
 * manifest whose last line was torn by a crash is read up to there. A folder that does not exist holds nothing.
 */
export async function findRecorded(jobFolder: string): Promise<Recorded> {
  const found: Recorded = { parts: [], tracks: [], refused: [], screenshot: null, consoleLog: null };
  for (const { name, number: incarnation } of await numbered(jobFolder, /^i(\d+)$/)) {
    const folder = join(jobFolder, name);
    const { entries } = readManifest(folder);
    for (const { name: file, number } of await numbered(folder, partFilePattern)) {
      const path = join(folder, file);
      const { size, mtimeMs } = await stat(path);
      const about = entries.filter((entry) => 'part' in entry && entry.part === number);
      const zero =
        about.find((entry) => entry.type === 'first-frame') ?? about.find((entry) => entry.type === 'part-started');
      const end = about.find((entry) => entry.type === 'part-ended');
      const fetched = (await ifThere(join(folder, fetchedMark(file)))) !== null;
      found.parts.push({
        incarnation,
        number,
        file: path,
        bytes: size,
        zeroAt: zero?.at ?? null,
        lastWrittenAt: Math.round(mtimeMs),
        // More was written than was shipped: whatever ended the recording, this part was ended by the loss of its machine.
        endCause: end && !(fetched && size < end.bytes) ? end.cause : null,
        saidMs: end?.durationMs ?? null,
        fetched,
        pieces: knownInOrder(about.filter((entry) => entry.type === 'piece')),
      });
    }
    found.tracks.push(...(await findTracks(folder, incarnation, entries)));
    for (const entry of entries) if (entry.type === 'track-refused') found.refused.push(entry);
    found.screenshot = (await ifWritten(join(folder, hostFiles.screenshot))) ?? found.screenshot;
    found.consoleLog = (await ifWritten(join(folder, hostFiles.console))) ?? found.consoleLog;
  }
  return found;
}

async function findTracks(folder: string, incarnation: number, entries: ManifestEntry[]): Promise<RecordedTrack[]> {
  const tracks: RecordedTrack[] = [];
  for (const { name, number } of await numbered(folder, trackFilePattern)) {
    const path = join(folder, name);
    const { size, mtimeMs } = await stat(path);
    const about = entries.filter((entry) => 'track' in entry && entry.track === number);
    const end = about.find((entry) => entry.type === 'track-ended');
    const fetched = (await ifThere(join(folder, fetchedMark(name)))) !== null;
    tracks.push({
      ...{ incarnation, number, file: path, bytes: size, fetched },
      origin: about.find((entry) => entry.type === 'track-started')?.origin ?? null,
      zeroAt: about.find((entry) => entry.type === 'track-first-media')?.at ?? null,
      lastWrittenAt: Math.round(mtimeMs),
      endCause: end && !(fetched && size < end.bytes) ? end.cause : null,
    });
  }
  return tracks;
}

async function numbered(folder: string, pattern: RegExp): Promise<{ name: string; number: number }[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const matches = names.map((name) => pattern.exec(name)).filter((match) => match !== null);
  return matches.map((match) => ({ name: match[0], number: Number(match[1]) })).sort((a, b) => a.number - b.number);
}

async function ifWritten(file: string): Promise<string | null> {
  const size = await ifThere(file);
  return size ? file : null;
}

/** The size of a file, null when there is none. */
async function ifThere(file: string): Promise<number | null> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
