/** What every recording in a host works with, whatever it records. */
import type { HostPhase } from '../../src/jobs/capture.js';
import type { Scratch } from '../capture/scratch.js';
import type { Outlets } from '../outlets/outlets.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { EndRequest } from './end-request.js';
import type { Totals } from './totals.js';
import type { WarningBoard } from './warning-board.js';
import type { Wish } from './wish.js';

export interface HostKit {
  /** The incarnation's folder. */
  folder: string;
  scratch: Scratch;
  end: EndRequest;
  wish: Wish;
  manifest: ManifestWriter;
  totals: Totals;
  warnings: WarningBoard;
  outlets: Outlets;
  setPhase: (phase: HostPhase) => void;
  /** Told of every connection that the gate refused: which, and why. */
  refused: { add(text: string): void; last(): string | null };
  /** One line for the host's log. */
  note: (text: string) => void;
}
