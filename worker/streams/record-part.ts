/** One attempt to record a live input: waits for its media, records it as a part, and says why that ended. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig, mediaServerIfAny } from '../../src/config.js';
import { type PartEnd, partFile, type StreamSpec } from '../../src/jobs/capture.js';
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { AddressRefusedError, UnreachableError } from '../../src/net/refusal.js';
import type { RecordingConfig } from '../../src/recordings/config.js';
import type { EncoderProgress } from '../ffmpeg/progress.js';
import type { DiskWatch } from '../host/disk-watch.js';
import { type Ending, finished } from '../host/ending.js';
import { everySecond } from '../host/heartbeat.js';
import type { HostKit } from '../host/kit.js';
import { streamPartArguments } from './command.js';
import { progressFile, type StreamEncoder, startStreamEncoder } from './encoder.js';
import { classify } from './failures.js';
import { type HeldInput, isKept } from './held-input.js';
import { createMediaWatch } from './media-watch.js';
import type { OpenInput } from './open-input.js';
import { writeOverlay } from './overlay.js';
import { followPart } from './part-follow.js';

// Until there is media; after that it is looked at once a second.
const waitingLookMs = 250;
// The encoder ends by itself at its limit; this is for one that does not.
const overdueMs = 3_000;
// It has read all there was in a tenth of that.
const drainMs = 1_000;
// Reports come twice a second, and media by fits and starts.
const settledMs = 200;

export interface StreamPartOptions {
  kit: HostKit;
  spec: StreamSpec;
  recording: RecordingConfig;
  part: number;
  limitMs: number;
  disk: DiskWatch;
  source: HeldInput;
  /** Resolves when something else is asked for than to record this. */
  asked: Promise<Ending>;
  /** When waiting for media is over, by `performance.now()`. */
  waitUntilMs: number;
  /** Called once, with the wall clock (epoch ms) of media time zero, when media is in the file. */
  onFirstMedia: (at: number) => void;
  onLink: (link: OpenInput['link']) => void;
  /** Told once a second whether nothing has come for a while, though the source is there. */
  onLook: (isSilent: boolean) => void;
  onStopping: () => void;
}

export type StreamPartResult =
  | { kind: 'recorded'; ending: Ending }
  /** No media came: asked to end, paused or changed before, or with what went wrong. */
  | { kind: 'nothing'; ending: Ending | null; problem: JobFailure | null };

/** Throws when the manifest cannot be written. */
export async function recordStreamPart(options: StreamPartOptions): Promise<StreamPartResult> {
  const { kit, spec, recording, part, asked } = options;
  const { folder, note, refused } = kit;
  const over = new AbortController();
  void asked.then(() => over.abort());
  const waiting = setTimeout(() => over.abort(), Math.max(0, options.waitUntilMs - performance.now()));
  let input: OpenInput | null = null;
  let encoder: StreamEncoder | null = null;
  try {
    input = await options.source.open({
      ...{ recording, listenAddress: spec.listenAddress, egress: spec.egress, folder, part, note },
      ...{ onRefused: refused.add, tools: spec.tools, signal: over.signal },
      mediaServer: mediaServerIfAny(loadConfig()),
    });
    options.onLink(input.link);
    writeOverlay(folder, recording.overlay);
    encoder = await startStreamEncoder({
      ...{ ffmpeg: spec.tools.ffmpeg, folder, part, stdin: input.stdin, onLog: () => session.hear() },
      args: streamPartArguments(input, recording, {
        ...{ file: partFile(part), progressFile: progressFile(part), limitMs: options.limitMs },
      }),
    });
  } catch (error) {
    await input?.close();
    clearTimeout(waiting);
    if (over.signal.aborted) return { kind: 'nothing', ending: await settledOr(asked), problem: null };
    return { kind: 'nothing', ending: null, problem: problemOf(error, spec) };
  }
  const session = createSession(options, input, encoder);
  let cause: PartEnd | null = null;
  try {
    await input.begun?.(encoder.pid);
    const result = await session.run();
    cause = result.kind === 'recorded' ? result.ending.cause : null;
    return result;
  } finally {
    clearTimeout(waiting);
    await encoder.kill();
    await options.source.release(input, cause);
  }
}

function createSession(options: StreamPartOptions, input: OpenInput, encoder: StreamEncoder) {
  const { kit, recording, part, limitMs } = options;
  const { manifest, totals, folder } = kit;
  const { type } = recording.input;
  const hasPictures = recording.video.mode !== 'NONE';
  const follower = followPart(join(folder, partFile(part)));
  const watch = createMediaWatch({ type, hasPictures });
  let firstMediaAt: number | null = null;
  /** Wall clock (epoch ms) at which media began, as it seemed last. */
  let earliestAt = Number.POSITIVE_INFINITY;
  let refusal: JobFailure | null = null;
  let resolveEnding: (ending: Ending | 'refused' | 'waited') => void = () => {};
  const seen = new Promise<Ending | 'refused' | 'waited'>((resolve) => {
    resolveEnding = resolve;
  });

  const log = () => `${input.log()}\n${encoder.log()}`;

  /** Called with everything that ffmpeg says. */
  function hear(): void {
    if (firstMediaAt !== null) return;
    refusal ??= input.refusedBy(log());
    if (refusal !== null) {
      resolveEnding('refused');
      return;
    }
    const report = encoder.report();
    if (!report || report.positionMs <= 0 || (hasPictures && report.frames === 0)) return;
    follower.look();
    // Media that is in the file, not only in the encoder.
    if (follower.positionMs() === 0) return;
    // What was read while the input was looked at is written all at once: how long ago it began is known after that.
    const beganAt = Date.now() - Math.max(report.positionMs, follower.positionMs());
    if (beganAt > earliestAt - settledMs) begin(Math.round(Math.min(beganAt, earliestAt)));
    else earliestAt = beganAt;
  }

  function begin(at: number): void {
    firstMediaAt = at;
    manifest.append({ type: 'part-started', part, at });
    manifest.append({ type: 'first-frame', part, at });
    options.onFirstMedia(at);
    look();
  }

  /** What is in the file counts: ffmpeg reports only while it reads. */
  function look(): void {
    follower.look();
    const { dropped, duplicated, ...report } = encoder.report() ?? nothingReported;
    const positionMs = Math.max(report.positionMs, follower.positionMs());
    watch.see({ frames: report.frames, positionMs, bytes: follower.bytes() });
    totals.report({ ...report, positionMs, dropped, duplicated }, follower.bytes());
  }

  function tick(): void {
    const full = options.disk.failure();
    if (full) {
      resolveEnding(finished({ kind: 'failed', failure: full }));
      return;
    }
    if (firstMediaAt === null) {
      if (performance.now() > options.waitUntilMs) resolveEnding('waited');
      return;
    }
    look();
    options.onLook(watch.isSilent());
    const disturbance = watch.look();
    if (disturbance) resolveEnding({ ...disturbance, outcome: null });
    else if (Date.now() > firstMediaAt + limitMs + overdueMs) resolveEnding(finished({ kind: 'max-duration' }));
  }

  async function run(): Promise<StreamPartResult> {
    const stopTicking = everySecond(tick);
    const waiting = setInterval(() => (firstMediaAt === null ? hear() : clearInterval(waiting)), waitingLookMs);
    const ending = await Promise.race([options.asked, seen, encoder.exited.then(endedByItself)]);
    stopTicking();
    clearInterval(waiting);
    if (typeof ending !== 'string' && ending.outcome) options.onStopping();
    const said = log();
    // What reads from a pipe hears nothing while it waits for more, and ends well when that ends.
    if (input.stdin !== null && !isKept(input, typeof ending === 'string' ? null : ending.cause)) {
      await input.close();
      await Promise.race([encoder.exited, sleep(drainMs)]);
    }
    await encoder.stop();
    // It may have written all there was only when it ended.
    hear();
    hear();
    if (firstMediaAt === null) return nothing(ending, said);
    if (typeof ending === 'string') return close(lost(refusal?.message ?? ''));
    return close(ending);
  }

  function close(ending: Ending): StreamPartResult {
    look();
    totals.endPart();
    const durationMs = Math.round(Math.max(encoder.report()?.positionMs ?? 0, follower.endMs()));
    const bytes = follower.bytes();
    follower.close();
    manifest.append({ type: 'part-ended', part, at: Date.now(), durationMs, bytes, cause: ending.cause });
    return { kind: 'recorded', ending };
  }

  /** `said`: what was logged before it was ended. */
  async function nothing(ending: Ending | 'refused' | 'waited', said: string): Promise<StreamPartResult> {
    follower.close();
    // It may hold a header; the next attempt writes under the same name.
    await rm(join(folder, partFile(part)), { force: true });
    if (ending === 'refused') return { kind: 'nothing', ending: null, problem: refusal };
    if (ending === 'waited') return { kind: 'nothing', ending: null, problem: waitedInVain(said) };
    // Asked for, or for want of room.
    if (ending.cause !== 'SOURCE_LOST') return { kind: 'nothing', ending, problem: null };
    return { kind: 'nothing', ending: null, problem: classify(log(), type) };
  }

  function waitedInVain(said: string): JobFailure {
    const found = classify(log(), type);
    // Of an input that was ended before anything came, ffmpeg says that it cannot be read.
    return found.reason === 'SOURCE_UNREADABLE' || found.reason === 'SOURCE_UNREACHABLE'
      ? classify(input.hasCome?.() === false ? said : log(), type)
      : found;
  }

  function endedByItself({ orderly, died, how }: Awaited<typeof encoder.exited>): Ending {
    // What was all there from the beginning may be recorded before anybody has looked.
    hear();
    hear();
    const { positionMs = 0 } = encoder.report() ?? {};
    if (orderly && firstMediaAt !== null && positionMs >= limitMs - 1_000) return finished({ kind: 'max-duration' });
    if (orderly && firstMediaAt !== null && input.isOver?.()) return finished({ kind: 'source-ended' });
    if (died && firstMediaAt !== null) return { cause: 'ENCODER_DIED', outcome: null, detail: `It ended with ${how}.` };
    return lost(`The encoder ended with ${how}. ${lastLines(log())}`);
  }

  return { hear, run };
}

const nothingReported: EncoderProgress = { frames: 0, positionMs: 0, duplicated: 0, dropped: 0 };

const lost = (detail: string): Ending => ({ cause: 'SOURCE_LOST' satisfies PartEnd, outcome: null, detail });

const lastLines = (log: string): string => log.trimEnd().split('\n').slice(-3).join('\n');

/** The request that is there already, or null. */
const settledOr = (asked: Promise<Ending>): Promise<Ending | null> => Promise.race([asked, Promise.resolve(null)]);

function problemOf(error: unknown, { source }: StreamSpec): JobFailure {
  if (error instanceof AddressRefusedError) return failure('URL_REFUSED', error.message);
  if (error instanceof UnreachableError) return failure('SOURCE_UNREACHABLE', error.message);
  const text = error instanceof Error ? error.message : String(error);
  return classify(text, source.recording.input.type);
}
