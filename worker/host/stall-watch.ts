/** Finds out that no media comes any more, and whose fault it is: the display's, the sound server's, or the encoder's own. */
import type { Encoder } from '../ffmpeg/process.js';
import type { PageCapture } from '../recorders/page.js';

// The encoder reports every 0.5 s and writes every 0.25 s. Asking is cheap, so it is done early.
const askAfterMs = 1_500;
// An encoder that has nothing to do while display and sound are there will have nothing to do later either.
const idleLimitMs = 2_000;
// One that works, or waits for a processor or a disk, gets as long as a burst of other work may last.
const stallLimitMs = 5_000;
// Opening both devices takes 0.3 s; on a machine with too much to do, seconds.
const firstFrameLimitMs = 10_000;
// Ticks come every 200 ms; a longer break is this process's own.
const longestTickMs = 1_000;

export interface StallWatch {
  /**
   * To be called every 200 ms. Condemns a display or sound server that hangs; answers what is wrong with the encoder when
   * it must be replaced, else null.
   */
  tick(hasRecorded: boolean): Promise<string | null>;
}

export function createStallWatch(encoder: Encoder, capture: PageCapture): StallWatch {
  let frames = 0;
  let bytes = 0;
  let framesAt = performance.now();
  let bytesAt = framesAt;
  let lastTickAt = framesAt;
  let isAsking = false;
  return {
    async tick(hasRecorded) {
      const now = performance.now();
      // Time in which this process itself did not run is no silence of the encoder's.
      const pausedMs = Math.max(0, now - lastTickAt - longestTickMs);
      lastTickAt = now;
      framesAt += pausedMs;
      bytesAt += pausedMs;

      const idleMs = encoder.idleMs();
      const reported = encoder.progress()?.frames ?? 0;
      const written = encoder.bytes();
      if (reported > frames) framesAt = now;
      if (written > bytes) bytesAt = now;
      frames = reported;
      bytes = written;
      // Both: without sound pictures are still counted and not written, without pictures sound may be written and not counted.
      const silentMs = now - Math.min(framesAt, bytesAt);
      if (silentMs < askAfterMs || isAsking) return null;

      isAsking = true;
      const hang = await capture.findHang();
      isAsking = false;
      if (hang) {
        const who = hang === 'DISPLAY_HUNG' ? 'The virtual display' : 'The sound server';
        capture.condemn(hang, `${who} does not answer, and no media came for ${Math.round(silentMs)} ms.`);
        return null;
      }
      const limitMs = hasRecorded ? stallLimitMs : firstFrameLimitMs;
      if (silentMs <= limitMs && idleMs < idleLimitMs) return null;
      return `The encoder wrote nothing new for ${Math.round(silentMs)} ms.`;
    },
  };
}
