/** Watches that the page goes on drawing: warns when it does not, and has a browser that hangs replaced. */
import type { PageCapture } from '../recorders/page.js';
import type { WarningBoard } from './warning-board.js';

const askMs = 1_000;
const warnAfterMs = 5_000;
// Long enough for a page that computes or a machine that swaps: a new browser loads the page from its beginning.
const replaceAfterMs = 15_000;

export interface PageWatch {
  close(): void;
}

/**
 * Asks once a second how many animation frames the page has drawn, until closed. Standing still for 5 s is a warning; for
 * 15 s, the browser is killed as BROWSER_HUNG, unless `mayReplace` refuses: then the page is recorded as it is.
 */
export function watchPage(options: {
  capture: PageCapture;
  warnings: WarningBoard;
  /** Takes the number of frames drawn since it was called last. */
  onDrawn: (frames: number) => void;
  mayReplace: () => boolean;
}): PageWatch {
  const { capture, warnings } = options;
  let drawn = 0;
  let drewAt = performance.now();
  let lookedAt = drewAt;
  let isAsking = false;
  let isClosed = false;
  const timer = setInterval(async () => {
    // Time in which this process itself did not run is no stillness of the page's.
    drewAt += Math.max(0, performance.now() - lookedAt - 2 * askMs);
    lookedAt = performance.now();
    // A page that hangs keeps the question for 2 s; until it answers it has drawn nothing more.
    if (isAsking) return judge(drawn);
    isAsking = true;
    const frames = await capture.countFrames();
    isAsking = false;
    if (!isClosed) judge(frames);
  }, askMs);
  return {
    close() {
      isClosed = true;
      clearInterval(timer);
    },
  };

  function judge(frames: number | null): void {
    // Without a document, as between two pages, nothing can be said.
    if (frames === null || frames > drawn) {
      options.onDrawn((frames ?? drawn) - drawn);
      drawn = frames ?? drawn;
      drewAt = performance.now();
      warnings.clear('FROZEN_PAGE');
      return;
    }
    const stillMs = performance.now() - drewAt;
    if (stillMs < warnAfterMs) return;
    warnings.raise('FROZEN_PAGE', `It has drawn nothing for ${seconds(stillMs)}.`, Date.now() - stillMs);
    if (stillMs >= replaceAfterMs && options.mayReplace()) {
      capture.condemn('BROWSER_HUNG', `The page has drawn nothing for ${seconds(stillMs)}.`);
    }
  }
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
