/** The life of one job of any kind: wait for a machine, record, finalize, end. */
import {
  ActivityFailure,
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  defineSignal,
  defineUpdate,
  isCancellation,
  setHandler,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { HostOutcome } from '../src/jobs/capture.js';
import {
  cancelUpdateName,
  invalidStateFailure,
  type JobInput,
  type PlacedSignal,
  placedSignalName,
  type RequestAnswer,
  recordingSignalName,
  stopUpdateName,
} from '../src/jobs/messages.js';
import { intendedEnds, type JobFailure, type JobReason } from '../src/jobs/reasons.js';
import { isTerminal, type JobState, stateLimitsMs } from '../src/jobs/states.js';
import { recorderOn, records } from './activities.js';

export const stopUpdate = defineUpdate<RequestAnswer>(stopUpdateName);
export const cancelUpdate = defineUpdate<RequestAnswer>(cancelUpdateName);
export const placedSignal = defineSignal<[PlacedSignal]>(placedSignalName);
export const recordingSignal = defineSignal(recordingSignalName);

/** The recorder counts the maximum itself, to the frame; the workflow steps in only when it is this much too late. */
const maxDurationGraceMs = 30_000;

export async function job(input: JobInput): Promise<void> {
  const { jobId, resume } = input;
  /** Why the job ends, once it does. The first reason stays. */
  let end: { reason: JobReason; message?: string } | undefined;
  let machineId = resume?.machineId ?? undefined;
  let placed = machineId !== undefined;
  /** When the first frame was recorded, epoch ms. */
  let recordingSince = resume?.elapsedMs == null ? undefined : Date.now() - resume.elapsedMs;
  let over = false;
  /** Where parts of the job lie. */
  const machines = new Set<string>();
  const queuedUntil = Date.now() + input.queueTimeoutMs;

  const halt = (reason: JobReason, message?: string) => {
    end ??= { reason, message };
  };
  /** Answers the state the job is in then, which is another when `to` could not be entered any more. */
  const enter = async (to: JobState, cause?: { reason: JobReason; message?: string }) => {
    const answer = await records.transition({ jobId, to, ...cause });
    // The row may know of a first frame that we were not told of.
    if (answer.state === 'RECORDING' || answer.state === 'RECONNECTING') recordingSince ??= Date.now();
    return answer;
  };
  const refuseIfEnding = () => {
    if (over || end) throw ApplicationFailure.nonRetryable('STOPPING', invalidStateFailure);
  };

  // State comes before handlers: messages that wait are handled the moment their handler is set.
  setHandler(placedSignal, (signal) => {
    // May be told twice; a machine that records is not exchanged under way.
    if (placed) return;
    machineId = signal.machineId;
    placed = true;
  });
  setHandler(recordingSignal, () => {
    recordingSince ??= Date.now();
  });
  setHandler(
    stopUpdate,
    async () => {
      halt('USER_INITIATED');
      return enter('STOPPING', { reason: 'USER_INITIATED' });
    },
    { validator: refuseIfEnding },
  );
  setHandler(
    cancelUpdate,
    async () => {
      halt('CANCELED');
      // Without a machine there is nothing to stop; placed just now, it may still be queued.
      const stopping = placed ? await enter('STOPPING', { reason: 'CANCELED' }) : undefined;
      if (stopping && stopping.state !== 'QUEUED') return stopping;
      return enter('CANCELED', { reason: 'CANCELED' });
    },
    {
      validator: () => {
        refuseIfEnding();
        if (recordingSince) throw ApplicationFailure.nonRetryable('RECORDING', invalidStateFailure);
      },
    },
  );

  try {
    if (resume && (resume.state === 'STOPPING' || resume.state === 'FINALIZING')) {
      halt(resume.reason ?? 'USER_INITIATED');
    } else if (resume && !placed) {
      await records.requestPlacement({ jobId });
    }
    while (!end) {
      const waitMs = recordingSince ? stateLimitsMs.RECONNECTING : queuedUntil - Date.now();
      // Whoever waits for another machine has media on the lost one, which may come back.
      if (!(await condition(() => placed || !!end, Math.max(1, waitMs)))) {
        halt(recordingSince ? 'MACHINE_LOST' : 'QUEUE_TIMEOUT');
      }
      if (end || !machineId) break;
      await enter('STARTING');
      if (end) break;
      machines.add(machineId);
      const result = await recordOn(machineId);
      if (result.kind !== 'machine-lost') {
        concludeFrom(result);
        break;
      }
      if (end) break;
      placed = false;
      await enter(recordingSince ? 'RECONNECTING' : 'QUEUED', { reason: 'MACHINE_LOST' });
      await records.requestPlacement({ jobId });
    }
  } catch (error) {
    if (!isCancellation(error)) throw error;
    // Canceled from outside, by an operator: what was recorded is kept all the same.
    halt(recordingSince ? 'USER_INITIATED' : 'CANCELED');
  }
  await CancellationScope.nonCancellable(conclude);

  /** Records on a machine until the recorder has ended, or the machine is found to be lost. */
  async function recordOn(machine: string): Promise<HostOutcome | { kind: 'machine-lost' }> {
    const { record, stopRecording } = recorderOn(machine, input.maxDurationMs);
    const capture = new CancellationScope();
    const guards = new CancellationScope();
    let done = false;

    const outcome = capture
      .run(() => record({ jobId }))
      .then(
        (result): HostOutcome => result.outcome,
        (error): HostOutcome | { kind: 'machine-lost' } => {
          if (isMachineLost(error)) return { kind: 'machine-lost' };
          if (isCancellation(error)) return { kind: 'stopped' };
          return { kind: 'failed', failure: failureOf(error) };
        },
      );

    const guard = guards.run(async () => {
      if (!(await condition(() => !!recordingSince || !!end || done, stateLimitsMs.STARTING))) halt('START_TIMEOUT');
      const leftMs = input.maxDurationMs - (Date.now() - (recordingSince ?? Date.now()));
      if (!(await condition(() => !!end || done, Math.max(1, leftMs + maxDurationGraceMs)))) halt('MAXIMUM_DURATION');
      if (done) return;
      // The quick way to the recorder; a cancellation takes up to 2 s but also reaches a retry.
      await stopRecording({ jobId }).catch(() => capture.cancel());
      if (!(await condition(() => done, stateLimitsMs.STOPPING / 3))) capture.cancel();
    });
    const guarded = guard.catch((error) => {
      if (!isCancellation(error)) throw error;
    });

    const result = await outcome;
    done = true;
    guards.cancel();
    await guarded;
    return result;
  }

  function concludeFrom(outcome: HostOutcome): void {
    if (outcome.kind === 'failed') halt(outcome.failure.reason, outcome.failure.message);
    else if (outcome.kind === 'max-duration') halt('MAXIMUM_DURATION');
    else if (outcome.kind === 'session-ended') halt('SESSION_ENDED');
    else if (outcome.kind === 'stopped') halt('USER_INITIATED');
    else halt('CAPTURE_FAILED');
  }

  /** From whatever happened to the job's last state, by way of everything that was recorded. */
  async function conclude(): Promise<void> {
    const cause = end ?? { reason: 'CAPTURE_FAILED' as const };
    if (cause.reason === 'CANCELED') {
      if (machineId) {
        const { discard } = recorderOn(machineId, input.maxDurationMs);
        await discard({ jobId }).catch(() => {});
      }
      await enter('CANCELED', cause);
    } else if (cause.reason === 'QUEUE_TIMEOUT') {
      const { state } = await enter('EXPIRED', cause);
      if (!isTerminal(state)) await finalizeOn(machineId, cause);
    } else await finalizeOn(machineId, cause);
    over = true;
    await condition(allHandlersFinished);
  }

  async function finalizeOn(
    machine: string | undefined,
    cause: { reason: JobReason; message?: string },
  ): Promise<void> {
    if (!machine) {
      await enter('FAILED', cause);
      return;
    }
    await enter('FINALIZING', cause);
    let recordedMs: number;
    try {
      ({ recordedMs } = await recorderOn(machine, input.maxDurationMs).finalize({ jobId }));
    } catch (error) {
      const { message } = failureOf(error);
      await enter('FAILED', { reason: isMachineLost(error) ? 'MACHINE_LOST' : 'FINALIZE_FAILED', message });
      return;
    }
    const intended = intendedEnds.includes(cause.reason);
    if (recordedMs === 0) await enter('FAILED', intended ? { reason: 'NO_MEDIA' } : cause);
    // The parts on the machines before are not in the result.
    else if (machines.size > 1) await enter('PARTIAL', { reason: 'MACHINE_LOST' });
    else await enter(intended ? 'COMPLETE' : 'PARTIAL', cause);
  }
}

/** The machine's worker did not take the work up, or was silent too long and was not there to try again. */
function isMachineLost(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof TimeoutFailure;
}

function failureOf(error: unknown): JobFailure {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const message = cause instanceof Error ? cause.message : String(cause);
  return { reason: 'CAPTURE_FAILED', message: message.slice(0, 2000) };
}
