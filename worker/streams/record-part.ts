/** One attempt to record a live input: waits for its media, records it as a part, and says why that ended. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type PartEnd, partFile, type StreamSpec } from '../../src/jobs/capture.js';
import { failure, type JobFailure } from '../../src/jobs/reasons.js';
import { AddressRefusedError, UnreachableError } from '../../src/net/refusal.js';
import type { RecordingConfig } from '../../src/recordings/config.js';
import type { DiskWatch } from '../host/disk-watch.js';
import { type Ending, finished } from '../host/ending.js';
import type { HostKit } from '../host/kit.js';
import { streamPartArguments } from './command.js';
import { type StreamEncoder, startStreamEncoder } from './encoder.js';
import { classify } from './failures.js';
import { type OpenInput, openInput } from './input.js';
import { createMediaWatch, type MediaWatch } from './media-watch.js';
import { writeOverlay } from './overlay.js';

const tickMs = 1_000;
// The encoder ends by itself at its limit; this is for one that does not.
const overdueMs = 3_000;

export interface StreamPartOptions {
  kit: HostKit;
  spec: StreamSpec;
  recording: RecordingConfig;
  part: number;
  limitMs: number;
  disk: DiskWatch;
  /** Resolves when something else is asked for than to record this. */
  asked: Promise<Ending>;
  /** When waiting for media is over, by `performance.now()`. */
  waitUntilMs: number;
  /** Called once, with the wall clock (epoch ms) of media time zero, when media is in the file. */
  onFirstMedia: (at: number) => void;
  onLink: (link: OpenInput['link']) => void;
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
    input = await openInput({
      ...{ recording, listenAddress: spec.listenAddress, egress: spec.egress, folder, part, note },
      ...{ onRefused: refused.add, tools: spec.tools, signal: over.signal },
    });
    options.onLink(input.link);
    writeOverlay(folder, recording.overlay);
    encoder = await startStreamEncoder({
      ...{ ffmpeg: spec.tools.ffmpeg, folder, part, env: input.env, onNews: () => session.hear() },
      args: streamPartArguments(input.args, recording, { file: partFile(part), limitMs: options.limitMs }),
    });
  } catch (error) {
    await input?.close();
    clearTimeout(waiting);
    if (over.signal.aborted) return { kind: 'nothing', ending: await settledOr(asked), problem: null };
    return { kind: 'nothing', ending: null, problem: problemOf(error, spec) };
  }
  const session = createSession(options, input, encoder);
  try {
    await input.begun?.(encoder.pid);
    return await session.run();
  } finally {
    clearTimeout(waiting);
    await encoder.kill();
    await input.close();
  }
}

function createSession(options: StreamPartOptions, input: OpenInput, encoder: StreamEncoder) {
  const { kit, recording, part, limitMs } = options;
  const { manifest, totals, folder } = kit;
  const { type } = recording.input;
  const hasPictures = recording.video.mode !== 'NONE';
  let watch: MediaWatch | null = null;
  let firstMediaAt: number | null = null;
  let refusal: string | null = null;
  let resolveEnding: (ending: Ending | 'refused' | 'waited') => void = () => {};
  const seen = new Promise<Ending | 'refused' | 'waited'>((resolve) => {
    resolveEnding = resolve;
  });

  /** Called with everything that ffmpeg says. */
  function hear(): void {
    refusal ??= input.refusedBy(encoder.log());
    if (refusal !== null && firstMediaAt === null) return resolveEnding('refused');
    const report = encoder.report();
    if (!report) return;
    if (firstMediaAt === null && isMedia(report)) begin(report.positionMs);
    if (firstMediaAt === null) return;
    watch?.see(report);
    totals.report(report, report.bytes);
  }

  const isMedia = (report: { frames: number; positionMs: number; bytes: number }) =>
    report.positionMs > 0 && report.bytes > 0 && (!hasPictures || report.frames > 0);

  function begin(positionMs: number): void {
    // What was read while the input was looked at is in the file with its own times: it began so long ago.
    firstMediaAt = Date.now() - positionMs;
    watch = createMediaWatch({ type, hasPictures });
    manifest.append({ type: 'part-started', part, at: Math.round(firstMediaAt) });
    manifest.append({ type: 'first-frame', part, at: Math.round(firstMediaAt) });
    options.onFirstMedia(Math.round(firstMediaAt));
  }

  function tick(): void {
    const full = options.disk.failure();
    if (full) return resolveEnding(finished({ kind: 'failed', failure: full }));
    if (firstMediaAt === null) {
      if (performance.now() > options.waitUntilMs) resolveEnding('waited');
      return;
    }
    const disturbance = watch?.look();
    if (disturbance) resolveEnding({ ...disturbance, outcome: null });
    else if (Date.now() > firstMediaAt + limitMs + overdueMs) resolveEnding(finished({ kind: 'max-duration' }));
  }

  async function run(): Promise<StreamPartResult> {
    const ticking = setInterval(tick, tickMs);
    const ending = await Promise.race([
      options.asked,
      seen,
      encoder.exited.then(endedByItself),
      ...(input.ended ? [input.ended.then(() => lost('The source has ended.'))] : []),
    ]);
    clearInterval(ticking);
    if (typeof ending !== 'string' && ending.outcome) options.onStopping();
    if (typeof ending !== 'string' && ending.cause === 'SOURCE_STALLED') await encoder.kill();
    else await encoder.stop();
    // The last report comes with its end.
    hear();
    if (firstMediaAt === null) return nothing(ending);
    if (typeof ending === 'string') return close(lost(refusal ?? ''));
    return close(ending);
  }

  function close(ending: Ending): StreamPartResult {
    const last = encoder.report();
    if (last) totals.report(last, last.bytes);
    totals.endPart();
    const { positionMs = 0, bytes = 0 } = last ?? {};
    manifest.append({ type: 'part-ended', part, at: Date.now(), durationMs: positionMs, bytes, cause: ending.cause });
    return { kind: 'recorded', ending };
  }

  async function nothing(ending: Ending | 'refused' | 'waited'): Promise<StreamPartResult> {
    // It may hold a header; the next attempt writes under the same name.
    await rm(join(folder, partFile(part)), { force: true });
    if (ending === 'refused') {
      return { kind: 'nothing', ending: null, problem: failure('SOURCE_REFUSED', refusal ?? '') };
    }
    if (ending === 'waited') return { kind: 'nothing', ending: null, problem: classify(encoder.log(), type) };
    // Asked for, or for want of room.
    if (ending.cause !== 'SOURCE_LOST') return { kind: 'nothing', ending, problem: null };
    return { kind: 'nothing', ending: null, problem: classify(encoder.log(), type) };
  }

  function endedByItself({ orderly, how }: Awaited<typeof encoder.exited>): Ending {
    const { positionMs = 0 } = encoder.report() ?? {};
    if (orderly && firstMediaAt !== null && positionMs >= limitMs - 1_000) return finished({ kind: 'max-duration' });
    // A playlist that says so has ended for good; of everything else it is not known.
    if (orderly && firstMediaAt !== null && (type === 'HLS' || type === 'DASH'))
      return finished({ kind: 'source-ended' });
    return lost(`The encoder ended with ${how}. ${lastLines(encoder.log())}`);
  }

  return { hear, run };
}

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
