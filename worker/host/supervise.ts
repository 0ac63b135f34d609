/** Keeps a recording going, part after part, until it is asked to end, has reached its length, or cannot go on. */
import { statfsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostOutcome, HostPhase, HostSpec, PartEnd } from '../../src/jobs/capture.js';
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { asFailure } from '../capture/capture-error.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { PageCapture, PageRecorder } from '../recorders/page.js';
import type { EndRequest } from './end-request.js';
import { recordPart } from './record-part.js';
import type { Totals } from './totals.js';

const restartLimit = 5;
const restartWindowMs = 60_000;
// What could not be opened once is tried again after a moment, not in a busy loop.
const reopenPauseMs = 500;
// About half a minute of 720p; below this a part would end in a torn file and the manifest could not be written.
const minimumFreeBytes = 16 * 1_048_576;
// Until the first part has shown how long the devices of this machine take to open.
const usualOpeningMs = 250;

export interface Supervision {
  spec: HostSpec;
  folder: string;
  encoderHome: string;
  recorder: PageRecorder;
  end: EndRequest;
  manifest: ManifestWriter;
  totals: Totals;
  setPhase: (phase: HostPhase) => void;
  /** One line for the host's log. */
  note: (text: string) => void;
}

/** Records until the end. Leaves the recorder open. Throws only what nobody foresaw. */
export async function supervise(supervision: Supervision): Promise<HostOutcome> {
  const { spec, folder, recorder, end, note } = supervision;
  const restarts: number[] = [];
  let firstFrameAt: number | null = null;
  let openingMs = usualOpeningMs;
  let capture: PageCapture | null = null;

  for (let part = 1; ; ) {
    const asked = end.current();
    if (asked) return asked;
    try {
      capture ??= await recorder.open(end.signal);
    } catch (error) {
      const asked = end.current();
      if (asked) return asked;
      const problem = asFailure(error);
      note(`not open: ${problem.message}`);
      // A page has had its second chance; what is ours is worth more than two.
      if (problem.reason !== 'CAPTURE_FAILED' || !mayRestart()) return { kind: 'failed', failure: problem };
      await recorder.close();
      await sleep(reopenPauseMs);
      continue;
    }

    const full = diskFailure(folder);
    if (full) return { kind: 'failed', failure: full };
    const endsAt = spec.endsAt ?? (firstFrameAt === null ? null : firstFrameAt + spec.maxDurationMs);
    const limitMs: number = endsAt === null ? spec.maxDurationMs : endsAt - Date.now() - openingMs;
    if (limitMs <= 0) return { kind: 'max-duration' };
    const result = await recordPart({
      ...{ capture, part, limitMs, folder, ffmpeg: spec.tools.ffmpeg, home: supervision.encoderHome },
      ...{ end, manifest: supervision.manifest, totals: supervision.totals },
      onFirstFrame: (at) => {
        firstFrameAt ??= at;
        supervision.setPhase('RECORDING');
        note(`part ${part} records since ${new Date(at).toISOString()}`);
      },
      onStopping: () => supervision.setPhase('STOPPING'),
    });
    note(`part ${part} ended: ${result.cause} ${result.detail}`);
    part += 1;
    if (result.outcome) return result.outcome;

    if (firstFrameAt !== null) supervision.setPhase('RECONNECTING');
    openingMs = result.openingMs ?? openingMs;
    if (result.detail.includes('No space left on device')) return { kind: 'failed', failure: diskFull(folder) };
    if (!mayRestart()) return { kind: 'failed', failure: exhausted(result.cause, result.detail) };
    const encoderOnly = result.cause === 'ENCODER_DIED' || result.cause === 'ENCODER_STALLED';
    // An encoder that recorded nothing may suffer from a display or sound server that lives but does not answer.
    if (encoderOnly && result.openingMs === null) await recorder.close();
    if (!encoderOnly || result.openingMs === null) capture = null;
  }

  function mayRestart(): boolean {
    const now = performance.now();
    restarts.push(now);
    return restarts.filter((at) => now - at <= restartWindowMs).length <= restartLimit;
  }
}

function exhausted(cause: PartEnd, detail: string): JobFailure {
  const many = `${restartLimit} restarts within ${restartWindowMs / 1000} s did not help.`;
  return failure(cause === 'BROWSER_DIED' ? 'PAGE_CRASHED' : 'CAPTURE_FAILED', `${many} ${detail}`);
}

function diskFailure(folder: string): JobFailure | null {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize < minimumFreeBytes ? diskFull(folder) : null;
}

function diskFull(folder: string): JobFailure {
  return failure(
    'CAPTURE_FAILED',
    `The disk that holds ${folder} is full. Free some space there, or set DATA_DIR to a larger disk.`,
  );
}
