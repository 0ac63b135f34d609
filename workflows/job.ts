/** The life of one job of any kind: wait for its time and for a machine, record, finalize, end. */
import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { HostOutcome } from '../src/jobs/capture.js';
import type { FinalizeResult, HandedOver, JobInput, TransitionInput } from '../src/jobs/messages.js';
import { intendedEnds, type JobFailure } from '../src/jobs/reasons.js';
import { hasBegun, isTerminal, type JobState, stateLimitsMs } from '../src/jobs/states.js';
import { finalizeLimitMs, recorderOn, records, stopTime } from './activities.js';
import { type Cause, createJobRun } from './job-run.js';
import { answerRequests } from './requests.js';

/** The recorder counts the maximum itself, to the frame; the workflow steps in only when it is this much too late. */
const maxDurationGraceMs = 30_000;
/** How long a recorder gets to end after a stop, before its attempt is canceled too. */
const stopPatienceMs = stateLimitsMs.STOPPING / 3;
const usualPauseTimeoutMs = 3_600_000;

/** How recording on one machine has ended. */
type RecordEnd = HostOutcome | HandedOver | { kind: 'machine-lost' };

export async function job(input: JobInput): Promise<void> {
  const { jobId, resume, standbyTimeoutMs, pauseTimeoutMs = usualPauseTimeoutMs, startTimeoutMs = 0 } = input;
  const startLimitMs = stateLimitsMs.STARTING + startTimeoutMs;
  const run = createJobRun(input);
  /** Where parts of the job lie. */
  const machines = new Set<string>();

  /** Answers the state the job is in then, which is another when `to` could not be entered any more. */
  const enter = async (to: JobState, more?: Omit<TransitionInput, 'jobId' | 'to'>) => {
    const answer = await records.transition({ jobId, to, ...more });
    // The row may know of a first frame that we were not told of.
    if (hasBegun(answer.state)) run.recordingSince ??= Date.now();
    return answer;
  };
  answerRequests({
    jobId,
    run,
    enter,
    steer() {
      if (!run.placed || !run.machineId) return;
      void recorderOn(run.machineId, input)
        .steer({ jobId })
        .catch(() => {});
    },
  });

  if (input.stopAt !== undefined) void stopInTime().catch(() => {});
  try {
    if (resume && (resume.state === 'STOPPING' || resume.state === 'FINALIZING')) {
      run.halt(resume.reason ?? 'USER_INITIATED');
    } else if (resume && resume.state !== 'SCHEDULED' && !run.placed) {
      await records.requestPlacement({ jobId });
    }
    if (input.launchAt !== undefined && (!resume || resume.state === 'SCHEDULED')) await launch(input.launchAt);
    let queuedUntil = Date.now() + input.queueTimeoutMs;
    while (!run.end) {
      const { pausedSince } = run;
      const waitMs =
        pausedSince !== undefined
          ? pauseLeftMs()
          : run.recordingSince
            ? stateLimitsMs.RECONNECTING
            : queuedUntil - Date.now();
      const moved = () => run.placed || !!run.end || run.pausedSince !== pausedSince;
      if (!(await condition(moved, Math.max(1, waitMs)))) {
        // Whoever waits for another machine has media on the lost one, which may come back.
        run.halt(pausedSince !== undefined ? 'PAUSE_TIMEOUT' : run.recordingSince ? 'MACHINE_LOST' : 'QUEUE_TIMEOUT');
      }
      if (run.end || !run.machineId) break;
      if (!run.placed) continue;
      const { state } = await enter('STARTING');
      // It ended while we were being started.
      if (isTerminal(state)) return close();
      if (run.end) break;
      machines.add(run.machineId);
      const result = await recordOn(run.machineId);
      if (result.kind !== 'machine-lost' && result.kind !== 'handed-over') {
        concludeFrom(result);
        break;
      }
      if (run.end) break;
      run.placed = false;
      queuedUntil = Date.now() + input.queueTimeoutMs;
      await interrupt(result.kind === 'handed-over' ? 'HANDED_OVER' : 'MACHINE_LOST');
      await records.requestPlacement({ jobId, lostMachineId: run.machineId });
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // Canceled from outside, by an operator: what was recorded is kept all the same.
    run.halt(run.recordingSince ? 'USER_INITIATED' : 'CANCELED');
  }
  await CancellationScope.nonCancellable(conclude);

  /** Waits for the launch time and queues the job. */
  async function launch(at: number): Promise<void> {
    await condition(() => !!run.end, Math.max(1, at - Date.now()));
    if (run.end) return;
    await enter('QUEUED');
    await records.requestPlacement({ jobId });
  }

  /** Ends the job when its time is over, whatever it is at. */
  async function stopInTime(): Promise<void> {
    while (!run.end) {
      const until = run.stopAt ?? Date.now();
      if (await condition(() => !!run.end || run.stopAt !== until, Math.max(1, until - Date.now()))) continue;
      // It may have been put off while nobody could tell us.
      const now = await stopTime({ jobId }).catch(() => null);
      if (now === null || now <= Date.now()) run.halt('WINDOW_ENDED');
      else run.stopAt = now;
    }
  }

  /** Says that the machine is lost, or left. What is paused stays so; only the recorder that waits with it will be another. */
  async function interrupt(reason: 'MACHINE_LOST' | 'HANDED_OVER'): Promise<void> {
    if (run.pausedSince !== undefined) return;
    const { state } = run.recordingSince ? { state: 'RECORDING' } : await enter('QUEUED', { reason });
    // The row may know of a first frame that we were not told of.
    if (state === 'RECORDING') await enter('RECONNECTING', { reason, from: ['RECORDING'] });
  }

  function pauseLeftMs(): number {
    return pauseTimeoutMs - (Date.now() - (run.pausedSince ?? Date.now()));
  }

  /** Records on a machine until the recorder has ended, or the machine is found to be lost. */
  async function recordOn(machine: string): Promise<RecordEnd> {
    const { record, stopRecording } = recorderOn(machine, input);
    const capture = new CancellationScope();
    const guards = new CancellationScope();
    let ended: RecordEnd | undefined;
    let abandoned = false;

    void capture
      .run(() => record({ jobId }))
      .then(
        (result): RecordEnd => result.outcome,
        (error): RecordEnd => {
          if (isMachineLost(error)) return { kind: 'machine-lost' };
          if (isCancellation(error)) return { kind: 'stopped' };
          return { kind: 'failed', failure: failureOf(error) };
        },
      )
      .then((outcome) => {
        ended = outcome;
      });

    const over = () => !!ended || !!run.end;
    const guarded = guards
      .run(async () => {
        await guardStart(over);
        await guardDuration(over);
        if (ended) return;
        // The quick way to the recorder; a cancellation takes up to 2 s but also reaches a retry.
        await stopRecording({ jobId }).catch(() => capture.cancel());
        if (!(await condition(() => !!ended, stopPatienceMs))) {
          capture.cancel();
          // Finalizing ends whatever still records.
          abandoned = !(await condition(() => !!ended, stateLimitsMs.STOPPING - stopPatienceMs));
        }
      })
      .catch((error) => {
        if (!isCancellation(error)) throw error;
      });

    await condition(() => !!ended || abandoned);
    guards.cancel();
    await guarded;
    return ended ?? { kind: 'stopped' };
  }

  /** Until the first frame, by way of standby where the job is to be begun by its client. */
  async function guardStart(over: () => boolean): Promise<void> {
    const recording = () => !!run.recordingSince || over();
    const standsBy = () => run.standbySince !== undefined || recording();
    if (!(await condition(standsBy, startLimitMs))) run.halt('START_TIMEOUT');
    if (standbyTimeoutMs === undefined || recording()) return;
    const standbyLeftMs = standbyTimeoutMs - (Date.now() - (run.standbySince ?? Date.now()));
    if (!(await condition(() => run.begun || recording(), Math.max(1, standbyLeftMs)))) run.halt('STANDBY_TIMEOUT');
    if (!(await condition(recording, startLimitMs))) run.halt('START_TIMEOUT');
  }

  /** Until the job's length is recorded; while it is paused, until it has been so for too long. */
  async function guardDuration(over: () => boolean): Promise<void> {
    do {
      const { pausedSince } = run;
      const waitMs = pausedSince === undefined ? run.leftMs() + maxDurationGraceMs : pauseLeftMs();
      const moved = () => over() || run.pausedSince !== pausedSince;
      if (!(await condition(moved, Math.max(1, waitMs))))
        run.halt(pausedSince === undefined ? 'MAXIMUM_DURATION' : 'PAUSE_TIMEOUT');
    } while (!over());
  }

  function concludeFrom(outcome: HostOutcome): void {
    if (outcome.kind === 'failed') run.halt(outcome.failure.reason, outcome.failure.message);
    else if (outcome.kind === 'max-duration') run.halt('MAXIMUM_DURATION');
    else if (outcome.kind === 'session-ended') run.halt('SESSION_ENDED');
    else if (outcome.kind === 'source-ended') run.halt('SOURCE_ENDED');
    else if (outcome.kind === 'stopped') run.halt('USER_INITIATED');
    else run.halt('CAPTURE_FAILED');
  }

  /** From whatever happened to the job's last state, by way of everything that was recorded. */
  async function conclude(): Promise<void> {
    const cause = run.end ?? { reason: 'CAPTURE_FAILED' as const };
    if (cause.reason === 'CANCELED') {
      await discard();
      await enter('CANCELED', cause);
    } else if (mayExpire(cause)) {
      const { state } = await enter('EXPIRED', cause);
      if (!isTerminal(state)) await finalize(cause);
      else if (cause.reason !== 'QUEUE_TIMEOUT') await discard();
    } else await finalize(cause);
    await close();
  }

  async function close(): Promise<void> {
    run.over = true;
    await condition(allHandlersFinished);
  }

  function mayExpire({ reason }: Cause): boolean {
    if (reason === 'WINDOW_ENDED') return run.recordingSince === undefined;
    return reason === 'QUEUE_TIMEOUT' || reason === 'STANDBY_TIMEOUT';
  }

  async function discard(): Promise<void> {
    if (!run.machineId) return;
    await recorderOn(run.machineId, input)
      .discard({ jobId })
      .catch(() => {});
  }

  async function finalize(cause: Cause): Promise<void> {
    // Whatever was begun ends by way of FINALIZING; what never was does not enter it, and has no machine.
    await enter('FINALIZING', cause);
    if (!run.machineId) {
      await enter('FAILED', cause);
      return;
    }
    const result = await makeFiles();
    if ('failed' in result) {
      const { message } = failureOf(result.failed);
      await enter('FAILED', { reason: isMachineLost(result.failed) ? 'MACHINE_LOST' : 'FINALIZE_FAILED', message });
      return;
    }
    const { recordedMs, missingParts = machines.size - 1 } = result;
    const intended = intendedEnds.includes(cause.reason);
    const whyMissing = machines.size > 1 ? 'MACHINE_LOST' : 'MEDIA_MISSING';
    if (missingParts > 0) await enter(recordedMs > 0 ? 'PARTIAL' : 'FAILED', { reason: whyMissing });
    else if (recordedMs === 0) await enter('FAILED', intended ? { reason: 'NO_MEDIA' } : cause);
    else await enter(intended ? 'COMPLETE' : 'PARTIAL', cause);
  }

  /** On the machine that has the parts; where they are shared, on any other when that one is lost. */
  async function makeFiles(): Promise<FinalizeResult | { failed: unknown }> {
    const until = Date.now() + finalizeLimitMs(input);
    for (;;) {
      try {
        return await recorderOn(run.machineId as string, input).finalize({ jobId });
      } catch (error) {
        const elsewhere = input.sharedParts && isMachineLost(error);
        if (!elsewhere || Date.now() >= until) return { failed: error };
        run.placed = false;
        await records.requestPlacement({ jobId, lostMachineId: run.machineId });
        if (!(await condition(() => run.placed, Math.max(1, until - Date.now())))) return { failed: error };
      }
    }
  }
}

/** The machine's worker did not take the work up, or was silent too long: not one that was there and failed until the time was over. */
function isMachineLost(error: unknown): boolean {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return false;
  return !(error.cause.cause instanceof ApplicationFailure);
}

function failureOf(error: unknown): JobFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  return { reason: 'CAPTURE_FAILED', message: message.slice(0, 2000) };
}
