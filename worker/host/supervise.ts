/** Keeps a recording going, part after part, until it is asked to end, has reached its length, or cannot go on. */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostOutcome, HostPhase, PageSpec } from '../../src/jobs/capture.js';
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { warningCodes } from '../../src/jobs/warnings.js';
import { asFailure } from '../capture/capture-error.js';
import type { Outlets } from '../outlets/outlets.js';
import type { ManifestWriter } from '../parts/manifest.js';
import type { PageCapture, PageRecorder } from '../recorders/page.js';
import { trackBytesIn } from '../tracks/ledger.js';
import { diskFull, watchDisk } from './disk-watch.js';
import type { EndRequest } from './end-request.js';
import { type Ending, isSourceFault } from './ending.js';
import { holdCapture } from './hold.js';
import type { LayoutKeeper } from './layout.js';
import { type PageWatch, watchPage } from './page-watch.js';
import { createPhaseKeeper } from './phase.js';
import { createQualityWatch } from './quality-watch.js';
import { recordPart } from './record-part.js';
import { createBudget } from './restart-budget.js';
import { createTimeLimit } from './time-limit.js';
import type { Totals } from './totals.js';
import type { WarningBoard } from './warning-board.js';
import type { Wish } from './wish.js';

const restartLimit = 5;
const restartWindowMs = 60_000;
// A page that hangs again in each new browser does so by itself, and a gap every 20 s is worse than its still picture:
// from then on it is recorded as it is, with the warning, until the window has passed. The job never fails of it.
const replaceLimit = 3;
const replaceWindowMs = 600_000;
// What could not be opened once is tried again after a moment, not in a busy loop.
const reopenPauseMs = 500;
// Until the first part has shown how long the devices of this machine take to open.
const usualOpeningMs = 250;

export interface Supervision {
  spec: PageSpec;
  folder: string;
  encoderHome: string;
  /** UDP port on 127.0.0.1 that the encoder sends to; null: it only writes. */
  rtpPort: number | null;
  recorder: PageRecorder;
  end: EndRequest;
  wish: Wish;
  manifest: ManifestWriter;
  totals: Totals;
  warnings: WarningBoard;
  /** Told of each part. */
  outlets: Pick<Outlets, 'partBegan' | 'partEnded'>;
  /** Told of the page that is captured. */
  layout: Pick<LayoutKeeper, 'opened'>;
  setPhase: (phase: HostPhase) => void;
  /** One line for the host's log. */
  note: (text: string) => void;
}

/** Records until the end. Leaves the recorder open. Throws only what nobody foresaw. */
export async function supervise(supervision: Supervision): Promise<HostOutcome> {
  const { spec, folder, encoderHome, recorder, end, wish, manifest, totals, warnings, outlets, note } = supervision;
  const mayRestart = createBudget(restartLimit, restartWindowMs);
  const mayReplace = createBudget(replaceLimit, replaceWindowMs);
  const limit = createTimeLimit(spec, wish);
  const phase = createPhaseKeeper({ hold: spec.hold, wish, setPhase: supervision.setPhase });
  const quality = createQualityWatch({
    ...{ ffmpeg: spec.tools.ffmpeg, home: encoderHome, warnings },
    stats: () => totals.stats(),
  });
  let parts = 0;
  const disk = watchDisk({
    ...{ folder, reserveBytes: spec.diskReserveBytes, warnings },
    recorded: () => ({
      bytes: spec.recordedBefore.bytes + totals.stats().bytes,
      parts: spec.recordedBefore.parts + parts,
      trackBytes: spec.source.individual ? trackBytesIn(dirname(folder)) : 0,
    }),
    wanted: { ...spec.source, renditions: spec.live },
  });
  let openingMs = usualOpeningMs;
  let capture = null as PageCapture | null;
  let opening = null as Promise<PageCapture> | null;
  let pageWatch = null as PageWatch | null;
  const over = new AbortController();
  const signal = AbortSignal.any([end.signal, over.signal]);

  try {
    for (;;) {
      const asked = end.current();
      if (asked) return asked;
      const outcome = await (capture === null ? open() : wish.current() === 'pause' ? hold(capture) : record(capture));
      if (outcome) return outcome;
    }
  } finally {
    disk.close();
    pageWatch?.close();
    over.abort();
    await Promise.all([quality.close(), opening?.catch(() => {})]);
    warnings.clear(...warningCodes);
  }

  async function open(): Promise<HostOutcome | null> {
    try {
      startOpening();
      capture = await (opening as Promise<PageCapture>);
    } catch (error) {
      if (end.current()) return null;
      const problem = asFailure(error);
      note(`not open: ${problem.message}`);
      // A page has had its second chance; what is ours is worth more than two.
      if (problem.reason !== 'CAPTURE_FAILED' || !mayRestart()) return { kind: 'failed', failure: problem };
      await recorder.close();
      await sleep(reopenPauseMs);
      return null;
    } finally {
      opening = null;
    }
    supervision.layout.opened(capture);
    phase.opened();
    pageWatch = watchPage({ capture, warnings, mayReplace, onDrawn: (frames) => totals.addPageFrames(frames) });
    return null;
  }

  /** Begins while the encoder of the last part still closes its file. */
  function startOpening(): void {
    if (opening) return;
    pageWatch?.close();
    supervision.layout.opened(null);
    capture = null;
    opening = recorder.open(signal);
    opening.catch(() => {});
  }

  async function hold(opened: PageCapture): Promise<HostOutcome | null> {
    await quality.close();
    const ending = await holdCapture(opened, end, wish);
    if (!ending) return null;
    note(`while held: ${ending.cause} ${ending.detail}`);
    if (ending.outcome) return ending.outcome;
    startOpening();
    return goOnAfter(ending);
  }

  async function record(opened: PageCapture): Promise<HostOutcome | null> {
    const full = disk.failure();
    if (full) return { kind: 'failed', failure: full };
    const leftMs = limit.leftMs();
    const limitMs = leftMs === null ? spec.maxDurationMs : leftMs - openingMs;
    if (limitMs <= 0) return { kind: 'max-duration' };
    parts += 1;
    const part = parts;
    outlets.partBegan(part);
    const result = await recordPart({
      ...{ capture: opened, part, limitMs, folder, ffmpeg: spec.tools.ffmpeg, home: encoderHome },
      ...{ end, wish, disk, manifest, totals, rtpPort: supervision.rtpPort },
      onFirstFrame: (at) => {
        note(`part ${part} records since ${new Date(at).toISOString()}`);
        limit.began(at);
        phase.recording();
        quality.begin(opened.input);
      },
      onStopping: () => supervision.setPhase('STOPPING'),
      onSourceLost: startOpening,
    }).finally(() => outlets.partEnded(part));
    quality.rest();
    note(`part ${part} ended: ${result.cause} ${result.detail}`);
    if (result.outcome) return result.outcome;
    phase.interrupted();
    openingMs = result.openingMs ?? openingMs;
    if (result.cause === 'PAUSED') return null;
    if (result.detail.includes('No space left on device')) return { kind: 'failed', failure: diskFull(folder) };
    // An encoder that recorded nothing may suffer from a display or sound server that answers, and does nothing else.
    if (!isSourceFault(result) && result.openingMs === null) {
      await recorder.close();
      capture = null;
    }
    return goOnAfter(result);
  }

  /** Counts a fault; null when it may be gone on after it. */
  function goOnAfter(ending: Ending): HostOutcome | null {
    // That a browser may be replaced was decided and counted before it was killed.
    if (ending.cause === 'BROWSER_HUNG' || mayRestart()) return null;
    return { kind: 'failed', failure: exhausted(ending) };
  }
}

function exhausted({ cause, detail }: Ending): JobFailure {
  const many = `${restartLimit} restarts within ${restartWindowMs / 1000} s did not help.`;
  return failure(cause === 'BROWSER_DIED' ? 'PAGE_CRASHED' : 'CAPTURE_FAILED', `${many} ${detail}`);
}
