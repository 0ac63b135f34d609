/** Records one part, from the start of its encoder to the closed file, and says why it ended. */
import type { HostOutcome, PartEnd } from '../../src/jobs/capture.js';
import { failure } from '../../src/jobs/reasons.js';
import { type EncoderOptions, startEncoder, stopLimitMs } from '../ffmpeg/process.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { PageCapture } from '../recorders/page.js';
import type { EndRequest } from './end-request.js';
import type { Totals } from './totals.js';

const tickMs = 200;
// A live encoder reports new frames every half second.
const stallLimitMs = 5_000;
// Opening both devices takes 0.3 s; on a machine with too much to do, seconds.
const firstFrameLimitMs = 10_000;
// The encoder ends by itself at its limit; this is for one that does not.
const overdueMs = 3_000;
// After a fault the encoder's devices may be gone, and it may never answer.
const stopAfterFaultLimitMs = 1_000;
// An encoder dies of a dead display or sound server before that is known to be the cause.
const causeSettleMs = 250;
const pageFramesMs = 1_000;

export interface PartOptions extends Omit<EncoderOptions, 'input'> {
  capture: PageCapture;
  end: EndRequest;
  manifest: ManifestWriter;
  totals: Totals;
  /** Called once, with the wall clock (epoch ms) of media time zero, when the first frame is in the file. */
  onFirstFrame: (at: number) => void;
  onStopping: () => void;
}

export interface PartResult {
  cause: PartEnd;
  /** Null: a fault, and the next part should begin. */
  outcome: HostOutcome | null;
  /** What is known about a fault. */
  detail: string;
  /** From the start of the encoder to media time zero; null when it recorded nothing. */
  openingMs: number | null;
}

type Ending = Pick<PartResult, 'cause' | 'outcome' | 'detail'>;

/** Records until something ends the part. Throws when the manifest cannot be written. */
export async function recordPart(options: PartOptions): Promise<PartResult> {
  const { capture, end, manifest, totals, part, limitMs } = options;
  manifest.append({ type: 'part-started', part, at: Date.now() });
  const encoder = await startEncoder({ ...options, input: capture.input });
  let firstFrameAt: number | null = null;
  let frames = 0;
  let ticksWithoutFrames = 0;

  const stalled = watch<Ending>(tickMs, (resolve) => {
    look();
    ticksWithoutFrames += 1;
    const silentMs = ticksWithoutFrames * tickMs;
    if (silentMs > (firstFrameAt === null ? firstFrameLimitMs : stallLimitMs)) {
      resolve(fault('ENCODER_STALLED', `The encoder wrote no new frame for ${silentMs} ms. ${encoder.lastWords()}`));
    } else if (firstFrameAt !== null && Date.now() > firstFrameAt + limitMs + overdueMs) {
      resolve({ cause: 'STOPPED', outcome: { kind: 'max-duration' }, detail: '' });
    }
  });
  let asking = false;
  const counter = setInterval(async () => {
    if (asking) return;
    asking = true;
    totals.setPageFrames(await capture.countFrames());
    asking = false;
  }, pageFramesMs);

  const ending = await Promise.race([
    end.requested.then(endedOnRequest),
    capture.ended.then(endedWithCapture),
    encoder.exited.then(endedByItself),
    stalled.result,
  ]);
  stalled.close();
  clearInterval(counter);
  if (ending.outcome) options.onStopping();
  const exit =
    ending.cause === 'ENCODER_STALLED'
      ? await encoder.kill()
      : await encoder.stop(ending.outcome ? stopLimitMs : stopAfterFaultLimitMs);
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
    if (report.frames > frames) ticksWithoutFrames = 0;
    frames = report.frames;
    totals.report(report, encoder.bytes());
    const anchor = encoder.anchor();
    // Media that is in the file, not only in the encoder.
    if (firstFrameAt === null && anchor !== null && report.frames > 0 && report.positionMs > 0) {
      firstFrameAt = anchor;
      manifest.append({ type: 'first-frame', part, at: anchor });
      options.onFirstFrame(anchor);
    }
  }

  function endedOnRequest(outcome: HostOutcome): Ending {
    const goesOn = outcome.kind === 'suspended' || outcome.kind === 'lease-expired';
    return { cause: goesOn ? 'SUSPENDED' : 'STOPPED', outcome, detail: '' };
  }

  function endedWithCapture(ended: Awaited<PageCapture['ended']>): Ending {
    if (ended.kind === 'session-ended') return { cause: 'STOPPED', outcome: { kind: 'session-ended' }, detail: '' };
    if (ended.kind === 'fault') return fault(ended.cause, ended.detail);
    return { cause: 'STOPPED', outcome: { kind: 'failed', failure: failure('PAGE_CLOSED') }, detail: '' };
  }

  async function endedByItself(exit: Awaited<typeof encoder.exited>): Promise<Ending> {
    const written = encoder.progress()?.positionMs ?? 0;
    if (exit.orderly && written >= limitMs - 1_000)
      return { cause: 'STOPPED', outcome: { kind: 'max-duration' }, detail: '' };
    const rootCause = await Promise.race([
      capture.ended,
      new Promise<null>((resolve) => setTimeout(resolve, causeSettleMs, null)),
    ]);
    if (rootCause) return endedWithCapture(rootCause);
    return fault('ENCODER_DIED', `The encoder ended with ${exit.how}. ${encoder.lastWords()}`);
  }
}

function fault(cause: PartEnd, detail: string): Ending {
  return { cause, outcome: null, detail };
}

function watch<T>(
  intervalMs: number,
  look: (resolve: (result: T) => void) => void,
): { result: Promise<T>; close: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const result = new Promise<T>((resolve, reject) => {
    timer = setInterval(() => {
      try {
        look(resolve);
      } catch (error) {
        reject(error);
      }
    }, intervalMs);
  });
  return { result, close: () => clearInterval(timer) };
}
