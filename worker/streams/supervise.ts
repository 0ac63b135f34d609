/** Keeps a live input recorded, part after part, over every loss of its source, until it is asked to end or cannot go on. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type HostOutcome, type LinkStats, partFile, type StreamSpec } from '../../src/jobs/capture.js';
import { failure, type JobFailure, type JobReason } from '../../src/jobs/reasons.js';
import { warningCodes } from '../../src/jobs/warnings.js';
import { isListening } from '../../src/recordings/config.js';
import { watchDisk } from '../host/disk-watch.js';
import { type Ending, finished, paused } from '../host/ending.js';
import { everySecond } from '../host/heartbeat.js';
import type { HostKit } from '../host/kit.js';
import { createPhaseKeeper } from '../host/phase.js';
import { createTimeLimit } from '../host/time-limit.js';
import { createCondition } from '../host/warning-board.js';
import type { Changes } from './changes.js';
import { watchFormat } from './format-watch.js';
import { createHeldInput } from './held-input.js';
import { recordStreamPart } from './record-part.js';
import { sumLinks } from './srt-link.js';

// A source that is back is to be found before a tenth as much more is lost; one that is away for long is not to be bothered.
const pauseShare = 0.1;
const shortestPauseMs = 250;
const longestPauseMs = 5_000;
// The system needs a moment to see a source through; less is no matter for people.
const missing = { raiseAfterMs: 2_000, clearAfterMs: 0 };
// Encoders deliver by fits and starts: what counts is whether they keep up in the long run.
const slow = { raiseAfterMs: 10_000, clearAfterMs: 5_000 };
const slowSpeed = 0.95;
/** Failures that will be the same the next time. */
const lasting: readonly JobReason[] = ['URL_REFUSED'];

/** Records until the end. Throws only what nobody foresaw. */
export async function superviseStream(spec: StreamSpec, kit: HostKit, changes: Changes): Promise<HostOutcome> {
  const { folder, end, wish, totals, warnings, outlets, note } = kit;
  const limit = createTimeLimit(spec, wish);
  const phase = createPhaseKeeper({ hold: spec.hold, wish, setPhase: kit.setPhase });
  let parts = 0;
  const disk = watchDisk({
    ...{ folder, reserveBytes: spec.diskReserveBytes, warnings },
    recorded: () => ({
      bytes: spec.recordedBefore.bytes + totals.stats().bytes,
      parts: spec.recordedBefore.parts + parts,
      trackBytes: 0,
    }),
    wanted: {},
  });
  const source = createHeldInput();
  let wasRecorded = spec.endsAt !== null;
  let isRecording = false;
  let isSilent = false;
  let absentSinceMs = performance.now();
  let problem: JobFailure | null = null;
  let link: () => LinkStats | null = () => null;
  let linksBefore: LinkStats | null = null;
  let interrupt: (ending: Ending) => void = () => {};
  void end.requested.then((outcome) => interrupt(finished(outcome)));
  wish.onChange(() => {
    if (wish.current() === 'pause') interrupt(paused);
  });
  changes.onChange(() => interrupt(reconfigured));

  const absence = createCondition(warnings, 'SOURCE_MISSING', missing);
  const slowness = createCondition(warnings, 'OVERLOADED', slow);
  const stopLooking = everySecond(() => {
    const isWished = wish.current() === 'record';
    absence.see(isWished && (!isRecording || isSilent), () => problem?.message ?? waitedFor());
    const { speed, positionMs } = totals.stats();
    slowness.see(isRecording && positionMs > slow.raiseAfterMs && speed > 0 && speed < slowSpeed, () => {
      return `It is recorded at ${speed} times its speed.`;
    });
    totals.setLink(sumLinks(linksBefore, link()));
  });

  try {
    // It may be told to wait: it waits as if it were ready.
    phase.opened();
    for (;;) {
      const asked = end.current();
      if (asked) return asked;
      if (wish.current() === 'pause') {
        await Promise.race([wish.until('record'), end.requested]);
        absentSinceMs = performance.now();
        continue;
      }
      const full = disk.failure();
      if (full) return { kind: 'failed', failure: full };
      const leftMs = limit.leftMs();
      const limitMs = leftMs ?? changes.current().maxDurationMs;
      if (limitMs <= 0) return { kind: 'max-duration' };
      const before = parts;
      const outcome = await attempt(limitMs);
      if (outcome) return outcome;
      if (parts > before) continue;
      if (absentMs() >= waitMs()) return gone();
      await Promise.race([sleep(pauseMs()), end.requested]);
    }
  } finally {
    stopLooking();
    await source.close();
    disk.close();
    warnings.clear(...warningCodes);
  }

  async function attempt(limitMs: number): Promise<HostOutcome | null> {
    const recording = changes.current();
    const part = parts + 1;
    const result = await recordStreamPart({
      ...{ kit, spec, recording, part, limitMs, disk, source, asked: nextRequest() },
      // A recording that has its length waits for nobody.
      waitUntilMs: Math.min(
        absentSinceMs + waitMs(),
        wasRecorded ? performance.now() + limitMs : Number.POSITIVE_INFINITY,
      ),
      onFirstMedia(at) {
        note(`part ${part} records since ${new Date(at).toISOString()}`);
        parts = part;
        problem = null;
        isRecording = true;
        wasRecorded = true;
        limit.began(at);
        outlets.partBegan(part);
        phase.recording();
        const file = join(folder, partFile(part));
        void watchFormat({ file, ffprobe: spec.tools.ffprobe, output: recording.output, warnings });
      },
      onLink(newest) {
        if (newest === link) return;
        linksBefore = sumLinks(linksBefore, link());
        link = newest;
      },
      onLook(silent) {
        isSilent = silent;
      },
      onStopping: () => kit.setPhase('STOPPING'),
    });
    isRecording = false;
    isSilent = false;
    if (result.kind === 'recorded') {
      const { cause, detail, outcome } = result.ending;
      note(`part ${part} ended: ${cause} ${detail}`);
      outlets.partEnded(part);
      absentSinceMs = performance.now();
      if (outcome) return outcome;
      phase.interrupted();
      return null;
    }
    if (result.problem) {
      if (result.problem.reason !== problem?.reason) note(`no media: ${result.problem.message}`);
      problem = result.problem;
      if (lasting.includes(problem.reason)) return { kind: 'failed', failure: problem };
    }
    return result.ending?.outcome ?? null;
  }

  function nextRequest(): Promise<Ending> {
    return new Promise((resolve) => {
      interrupt = resolve;
      const asked = end.current();
      if (asked) resolve(finished(asked));
      else if (wish.current() === 'pause') resolve(paused);
    });
  }

  /** How long the source may be away now. */
  function waitMs(): number {
    const { connectTimeoutMs, reconnectTimeoutMs } = changes.current().input;
    return wasRecorded ? reconnectTimeoutMs : connectTimeoutMs;
  }

  function absentMs(): number {
    return performance.now() - absentSinceMs;
  }

  /** Before the next attempt. Who listens bothers nobody. */
  function pauseMs(): number {
    if (!isPulled()) return shortestPauseMs;
    return Math.min(longestPauseMs, Math.max(shortestPauseMs, absentMs() * pauseShare));
  }

  function isPulled(): boolean {
    return !isListening(changes.current().input.type);
  }

  function waitedFor(): string {
    return isPulled() ? 'It is tried again and again.' : 'Nobody has sent anything yet.';
  }

  function gone(): HostOutcome {
    if (wasRecorded) return { kind: 'source-ended' };
    return { kind: 'failed', failure: problem ?? failure('SOURCE_UNREACHABLE') };
  }
}

const reconfigured: Ending = { cause: 'RECONFIGURED', outcome: null, detail: '' };
