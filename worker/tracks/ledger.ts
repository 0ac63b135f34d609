/** Numbers the track files of a host and writes into its manifest what becomes of each; says what is wrong with any, as one warning. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TrackEnd, type TrackOrigin, trackFile, trackFilePattern } from '../../src/jobs/capture.js';
import type { WarningBoard } from '../host/warning-board.js';
import type { ManifestWriter } from '../parts/manifest.js';

export interface TrackLedger {
  /** The number of a file that begins now. Throws when the manifest cannot be written. */
  begin(origin: TrackOrigin): number;
  /** `at`: wall clock (epoch ms) of its media time zero. */
  firstMedia(track: number, at: number): void;
  /** `detail`: for the host's log. */
  end(track: number, cause: TrackEnd, detail?: string): void;
  /** Of something that cannot be recorded to a file of its own, and why. */
  refuse(origin: TrackOrigin, reason: string): void;
  /** Something is wrong with what `key` names, or, with null, no longer. */
  problem(key: string, detail: string | null): void;
}

export interface LedgerOptions {
  folder: string;
  manifest: ManifestWriter;
  warnings: WarningBoard;
  note: (text: string) => void;
}

export function createTrackLedger({ folder, manifest, warnings, note }: LedgerOptions): TrackLedger {
  const problems = new Map<string, string>();
  let tracks = 0;
  return {
    begin(origin) {
      manifest.append({ type: 'track-started', track: tracks + 1, at: Date.now(), origin });
      tracks += 1;
      note(`track ${tracks} begins: ${origin.id}, ${origin.tracks.map(({ codec }) => codec).join(' and ')}`);
      return tracks;
    },
    firstMedia(track, at) {
      manifest.append({ type: 'track-first-media', track, at });
    },
    end(track, cause, detail = '') {
      const bytes = statSync(join(folder, trackFile(track)), { throwIfNoEntry: false })?.size ?? 0;
      manifest.append({ type: 'track-ended', track, at: Date.now(), bytes, cause });
      note(`track ${track} ended: ${cause}, ${bytes} bytes ${detail}`);
    },
    refuse(origin, reason) {
      manifest.append({ type: 'track-refused', at: Date.now(), origin, reason });
      note(`not recorded to a file of its own: ${origin.id}: ${reason}`);
    },
    problem(key, detail) {
      if (detail === null ? !problems.delete(key) : problems.get(key) === detail) return;
      if (detail !== null) {
        problems.set(key, detail);
        note(`tracks: ${detail}`);
      }
      if (problems.size === 0) warnings.clear('TRACKS_LOST');
      else warnings.raise('TRACKS_LOST', [...problems.values()].join(' '));
    },
  };
}

/** Bytes in the track files of all hosts of a job that were on this machine. Zero when it has none, or cannot be read. */
export function trackBytesIn(jobFolder: string): number {
  try {
    const folders = readdirSync(jobFolder).filter((name) => /^i\d+$/.test(name));
    const files = folders.flatMap((name) =>
      readdirSync(join(jobFolder, name))
        .filter((file) => trackFilePattern.test(file))
        .map((file) => join(jobFolder, name, file)),
    );
    return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
  } catch {
    return 0;
  }
}
