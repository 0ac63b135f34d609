/** One row of the fault matrix: what is broken, what is promised all the same, and how it is tried. */
import type { Bed, BedKind } from './bed.js';
import type { Chance } from './chance.js';
import type { CheckedJob, Findings } from './invariants.js';
import type { Recording } from './recording.js';

export interface Promised {
  /** Most media that may be missing in the pictures, milliseconds. */
  lostMs: number;
  /** Longest time from the fault until all is well again, milliseconds. */
  recoveryMs: number;
}

export interface Row {
  name: string;
  /** What happens in it, for the documentation and `--help`. */
  about: string;
  /** The service it needs; one machine with its own disk unless told. */
  bed?: BedKind;
  /** Told by the bed, since some promises follow from its settings. */
  promise(bed: Bed): Promised;
  /** Why it cannot be tried here; null when it can. */
  obstacle?(): string | null;
  run(trial: Trial): Promise<Account>;
}

/** What a row is run with. */
export interface Trial {
  bed: Bed;
  chance: Chance;
  quick: boolean;
  /** How many times as long as promised things may take, because others keep the machine busy; 1 where the promise itself is tried. */
  slowness: number;
}

/** What a row did. */
export interface Account {
  /** Jobs of the row, all ended; of those that are recordings the pictures are read. */
  jobs: (Recording | CheckedJob)[];
  /** From the fault until all was well again. */
  recoveryMs: number;
  /** What was tried instead of pictures, in a row whose jobs have none to read; none of it is as bad as no picture. `under`: what was done to it, in words. */
  tried?: { count: number; unit: string; under: string };
  /** What the row itself found to be wrong, in sentences. */
  complaints?: string[];
  /** What is wrong with what was found of its jobs, in their order, beyond what is asked of every job. */
  judge?(findings: readonly Findings[]): string[];
}
