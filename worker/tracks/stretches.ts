/** Writes down, as parts that have no file, when somebody was being recorded: from the first of those who are there to the last. */
import type { PartEnd, TrackEnd } from '../../src/jobs/capture.js';
import type { Totals } from '../host/totals.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { TrackLedger } from './ledger.js';

/** As of a part, which ends with the last of its files. */
const partEnds: Record<TrackEnd, PartEnd> = {
  LEFT: 'SOURCE_LOST',
  MEDIA_SERVER_LOST: 'SOURCE_LOST',
  CHANGED: 'SOURCE_CHANGED',
  STOPPED: 'STOPPED',
  PAUSED: 'PAUSED',
  WRITER_DIED: 'ENCODER_DIED',
};

export interface StretchesOptions {
  ledger: TrackLedger;
  manifest: ManifestWriter;
  totals: Pick<Totals, 'report' | 'endPart'>;
  /** Of all track files of the host. */
  bytes: () => number;
  /** Whether the host ends so that another goes on. */
  isSuspending: () => boolean;
  /** `at`: wall clock (epoch ms) of its first media. */
  onBegin(at: number): void;
  onEnd(): void;
}

export interface Stretches {
  /** What writes the track files is to tell it of them. */
  ledger: TrackLedger;
  /** Whether somebody is being recorded. */
  isOpen(): boolean;
  /** Takes the statistics of the open one; to be called about once a second. */
  look(): void;
}

export function createStretches(options: StretchesOptions): Stretches {
  const { ledger, manifest, totals } = options;
  const open = new Set<number>();
  let stretches = 0;
  let current: { beganMs: number; bytes: number; positionMs: number } | null = null;
  let bytesBefore = 0;

  /** Should this host die, what was written last is what will be found: time in which everybody is muted counts when it is over. */
  function look(): void {
    if (!current) return;
    const bytes = Math.max(0, options.bytes() - bytesBefore);
    if (bytes > current.bytes) current.positionMs = Math.max(0, Math.round(performance.now() - current.beganMs));
    current.bytes = bytes;
    totals.report({ frames: 0, positionMs: current.positionMs, dropped: 0, duplicated: 0 }, bytes);
  }

  function begin(at: number): void {
    stretches += 1;
    manifest.append({ type: 'part-started', part: stretches, at });
    manifest.append({ type: 'first-frame', part: stretches, at });
    // No duration is a difference of wall clocks, but for what was recorded before this was heard of.
    current = { beganMs: performance.now() - Math.max(0, Date.now() - at), bytes: 0, positionMs: 0 };
    options.onBegin(at);
  }

  function end(cause: PartEnd): void {
    if (!current) return;
    look();
    const { bytes, beganMs } = current;
    const durationMs = Math.max(0, Math.round(performance.now() - beganMs));
    manifest.append({ type: 'part-ended', part: stretches, at: Date.now(), durationMs, bytes, cause });
    totals.endPart();
    bytesBefore += bytes;
    current = null;
    options.onEnd();
  }

  return {
    isOpen: () => current !== null,
    look,
    ledger: {
      ...ledger,
      firstMedia(track, at) {
        ledger.firstMedia(track, at);
        open.add(track);
        if (!current) begin(at);
      },
      end(track, cause, detail) {
        ledger.end(track, cause, detail);
        if (!open.delete(track) || open.size > 0) return;
        end(options.isSuspending() && cause === 'STOPPED' ? 'SUSPENDED' : partEnds[cause]);
      },
    },
  };
}
