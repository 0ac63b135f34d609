/** Waits with the source open: before the recording is begun, and while it is paused. */
import type { PageCapture } from '../recorders/page.js';
import type { EndRequest } from './end-request.js';
import { type Ending, endedWithCapture } from './ending.js';
import type { Wish } from './wish.js';

// No encoder would notice a display or sound server that hangs; this costs two connections.
const askMs = 5_000;

/** Resolves with null when recording is wished or the end is asked for, or with how the source ended before. */
export async function holdCapture(capture: PageCapture, end: EndRequest, wish: Wish): Promise<Ending | null> {
  let isAsking = false;
  const timer = setInterval(async () => {
    if (isAsking) return;
    isAsking = true;
    const hang = await capture.findHang();
    isAsking = false;
    if (hang) capture.condemn(hang, 'It did not answer.');
  }, askMs);
  try {
    return await Promise.race([
      end.requested.then(() => null),
      wish.until('record').then(() => null),
      capture.ended.then(endedWithCapture),
    ]);
  } finally {
    clearInterval(timer);
  }
}
