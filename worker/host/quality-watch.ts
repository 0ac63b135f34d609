/** Watches while a part is recorded that there is something to see and to hear, and that the machine keeps up. */
import type { CaptureStats } from '../../src/jobs/capture.js';
import { type Observer, startObserver } from '../capture/observer.js';
import type { CaptureInput } from '../ffmpeg/command.js';
import { createCondition, type WarningBoard } from './warning-board.js';

const lookMs = 1_000;
// A part's first frames come late and together: rates say nothing before.
const settleMs = 5_000;
const blackShare = 98;
const silencePeak = -60;
const slowSpeed = 0.95;
// Pictures that were grabbed too late are dropped, or stand twice in the file.
const lostShare = 0.05;
const observed = { raiseAfterMs: 10_000, clearAfterMs: 2_000 };
const overloaded = { raiseAfterMs: 10_000, clearAfterMs: 5_000 };

export interface QualityWatch {
  /** A part has its first frame. */
  begin(input: CaptureInput): void;
  /** The part has ended; warnings stay until the next one shows how things are. */
  rest(): void;
  /** Recording is not wished any more: nothing is observed, and nothing is wrong. Resolves when no process is left. */
  close(): Promise<void>;
}

export function createQualityWatch(options: {
  ffmpeg: string;
  home: string;
  warnings: WarningBoard;
  stats: () => CaptureStats;
}): QualityWatch {
  const { warnings } = options;
  const black = createCondition(warnings, 'BLACK_PICTURE', observed);
  const silent = createCondition(warnings, 'SILENT_SOUND', observed);
  const busy = createCondition(warnings, 'OVERLOADED', overloaded);
  let observer: Observer | null = null;
  let looking: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;

  /** The observer holds on to display and sound server, which may be gone with the part. */
  function rest(): void {
    clearInterval(looking);
    for (const condition of [black, silent, busy]) condition.forget();
    if (observer) closing = observer.close();
    observer = null;
  }

  function watchSpeed(): void {
    const beganAt = performance.now();
    let before = options.stats();
    looking = setInterval(() => {
      const now = options.stats();
      const lost = now.dropped + now.duplicated - before.dropped - before.duplicated;
      const frames = now.frames - before.frames;
      before = now;
      if (performance.now() - beganAt < settleMs) return;
      const share = frames > 0 ? lost / frames : 0;
      busy.see(now.speed < slowSpeed || share > lostShare, () => {
        return `It records at ${now.speed} times the page's speed and misses ${Math.round(share * 100)} % of the pictures.`;
      });
    }, lookMs);
  }

  return {
    begin(input) {
      watchSpeed();
      observer = startObserver({
        ...{ ffmpeg: options.ffmpeg, home: options.home, input },
        onPicture: (percent) => {
          black.see(percent >= blackShare, () => `${percent} % of it have been black for 10 s.`);
        },
        onSound: (peak) => {
          silent.see(peak < silencePeak, () => `Its peak has been below ${silencePeak} dBFS for 10 s.`);
        },
      });
    },
    rest,
    async close() {
      rest();
      warnings.clear('BLACK_PICTURE', 'SILENT_SOUND', 'OVERLOADED');
      await closing;
    },
  };
}
