/** Records one part, from the start of its encoder to the closed file, and says why it ended. */
import { type EncoderOptions, startEncoder, stopLimitMs } from '../ffmpeg/process.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { PageCapture } from '../recorders/page.js';
import type { DiskWatch } from './disk-watch.js';
import type { EndRequest } from './end-request.js';
import { type Ending, endedWithCapture, fault, finished, isFault, isSourceFault, paused } from './ending.js';
import { createStallWatch } from './stall-watch.js';
import type { Totals } from './totals.js';
import type { Wish } from './wish.js';

const tickMs = 200;
const diskLookMs = 1_000;
// The encoder ends by itself at its limit; this is for one that does not.
const overdueMs = 3_000;
// After a fault the encoder's devices may be gone, and it may never answer.
const stopAfterFaultLimitMs = 1_000;

export interface PartOptions extends Omit<EncoderOptions, 'input'> {
  capture: PageCapture;
  end: EndRequest;
  wish: Wish;
  disk: DiskWatch;
  manifest: ManifestWriter;
  totals: Totals;
  /** Called once, with the wall clock (epoch ms) of media time zero, when the first frame is in the file. */
  onFirstFrame: (at: number) => void;
  onStopping: () => void;
  /** The source is gone, while the part is yet to be closed. */
  onSourceLost: () => void;
}

export interface PartResult extends Ending {
  /** From the start of the encoder to media time zero; null when it recorded nothing. */
  openingMs: number | null;
}

/** Records until something ends the part. Throws when the manifest cannot be written. */
export async function recordPart(options: PartOptions): Promise<PartResult> {
  const { capture, end, wish, disk, manifest, totals, part, limitMs } = options;
  manifest.append({ type: 'part-started', part, at: Date.now() });
  const encoder = await startEncoder({ ...options, input: capture.input });
  let firstFrameAt: number | null = null;

  const stall = createStallWatch(encoder, capture);
  const watching = watch<Ending>(tickMs, async (resolve) => {
    look();
    const detail = await stall.tick(firstFrameAt !== null);
    if (detail) resolve(fault('ENCODER_STALLED', `${detail} ${encoder.lastWords()}`));
    else if (firstFrameAt !== null && Date.now() > firstFrameAt + limitMs + overdueMs) {
      resolve(finished({ kind: 'max-duration' }));
    }
  });
  const roomLeft = watch<Ending>(diskLookMs, (resolve) => {
    const full = disk.failure();
    if (full) resolve(finished({ kind: 'failed', failure: full }));
  });

  const ending = await Promise.race([
    end.requested.then(finished),
    wish.until('pause').then(() => paused),
    capture.ended.then(endedWithCapture),
    encoder.exited.then(endedByItself),
    watching.result,
    roomLeft.result,
  ]);
  watching.close();
  roomLeft.close();
  if (ending.outcome) options.onStopping();
  if (isSourceFault(ending)) options.onSourceLost();
  const exit =
    ending.cause === 'ENCODER_STALLED'
      ? await encoder.kill()
      : await encoder.stop(isFault(ending) ? stopAfterFaultLimitMs : stopLimitMs);
  look();
  const last = encoder.progress();
  // Reports lag by the frames that wait for their B-frames (0.2 s at 15 fps); of a closed file every frame is counted.
  const closedMs = exit.orderly && last ? Math.round((last.frames * 1000) / capture.input.fps) : 0;
  const durationMs = Math.max(last?.positionMs ?? 0, closedMs);
  if (last) totals.report({ ...last, positionMs: durationMs }, encoder.bytes());
  totals.endPart();
  manifest.append({
    type: 'part-ended',
    part,
    at: Date.now(),
    durationMs,
    bytes: encoder.bytes(),
    cause: ending.cause,
  });
  return { ...ending, openingMs: firstFrameAt === null ? null : firstFrameAt - encoder.startedAt };

  function look(): void {
    const report = encoder.progress();
    if (!report) return;
    totals.report(report, encoder.bytes());
    const anchor = encoder.anchor();
    // Media that is in the file, not only in the encoder.
    if (firstFrameAt === null && anchor !== null && report.frames > 0 && report.positionMs > 0) {
      firstFrameAt = anchor;
      manifest.append({ type: 'first-frame', part, at: anchor });
      options.onFirstFrame(anchor);
    }
  }

  async function endedByItself(exit: Awaited<typeof encoder.exited>): Promise<Ending> {
    const written = encoder.progress()?.positionMs ?? 0;
    if (exit.orderly && written >= limitMs - 1_000) return finished({ kind: 'max-duration' });
    // It dies of a dead display or sound server before that is known to be the cause.
    const rootCause = await Promise.race([capture.ended, capture.settled().then(() => null)]);
    if (rootCause) return endedWithCapture(rootCause);
    return fault('ENCODER_DIED', `The encoder ended with ${exit.how}. ${encoder.lastWords()}`);
  }
}

function watch<T>(
  intervalMs: number,
  look: (resolve: (result: T) => void) => void | Promise<void>,
): { result: Promise<T>; close: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const result = new Promise<T>((resolve, reject) => {
    timer = setInterval(async () => {
      try {
        await look(resolve);
      } catch (error) {
        reject(error);
      }
    }, intervalMs);
  });
  return { result, close: () => clearInterval(timer) };
}
