/** Statistics over all parts of an incarnation, from the reports of one encoder after the other. */
import { type CaptureStats, type LinkStats, noStats } from '../../src/jobs/capture.js';
import type { EncoderProgress } from '../ffmpeg/progress.js';

// Long enough that a rate does not jump with every report, short enough to show a stall soon.
const windowMs = 3_000;

// Two reports missed: from here on the rates sink.
const silenceMs = 1_200;

interface Sample {
  atMs: number;
  frames: number;
  bytes: number;
  positionMs: number;
}

type PartTotals = Pick<CaptureStats, 'frames' | 'bytes' | 'positionMs' | 'dropped' | 'duplicated'>;

export interface Totals {
  /** Takes the newest report of the part that is being written. */
  report(progress: EncoderProgress, bytes: number): void;
  /** Closes the sums of a part. */
  endPart(): void;
  /** Animation frames the page has drawn beyond those that were told before. */
  addPageFrames(frames: number): void;
  /** What is known of the link that media comes over; null where nothing is. */
  setLink(link: LinkStats | null): void;
  stats(): CaptureStats;
}

export function createTotals(): Totals {
  let before: PartTotals = noStats;
  let current: PartTotals = noStats;
  let samples: Sample[] = [];
  let pageFrames = 0;
  let link: LinkStats | null = null;

  const sum = (): PartTotals => ({
    frames: before.frames + current.frames,
    bytes: before.bytes + current.bytes,
    positionMs: before.positionMs + current.positionMs,
    dropped: before.dropped + current.dropped,
    duplicated: before.duplicated + current.duplicated,
  });

  return {
    report({ frames, positionMs, dropped, duplicated }, bytes) {
      current = { frames, bytes, positionMs, dropped, duplicated };
      const last = samples.at(-1);
      // Asked more often than ffmpeg reports: a rate counts from report to report.
      if (last?.frames === frames && last.positionMs === positionMs) return;
      const atMs = performance.now();
      samples = [...samples.filter((sample) => atMs - sample.atMs <= windowMs), { atMs, frames, bytes, positionMs }];
    },
    endPart() {
      before = sum();
      current = noStats;
      samples = [];
    },
    addPageFrames(frames) {
      pageFrames += frames;
    },
    setLink(newest) {
      link = newest;
    },
    stats() {
      const first = samples[0];
      const last = samples.at(-1);
      const silentMs = last ? performance.now() - last.atMs : 0;
      const elapsedMs = first && last ? last.atMs - first.atMs + (silentMs > silenceMs ? silentMs : 0) : 0;
      const rate = (key: 'frames' | 'bytes' | 'positionMs') =>
        first && last && elapsedMs > 0 ? (last[key] - first[key]) / (elapsedMs / 1000) : 0;
      return {
        ...sum(),
        fps: round(rate('frames'), 1),
        bitrate: Math.round(rate('bytes') * 8),
        speed: round(rate('positionMs') / 1000, 2),
        pageFrames,
        ...(link ? { link } : {}),
      };
    },
  };
}

function round(value: number, digits: number): number {
  return Number(Math.max(0, value).toFixed(digits));
}
