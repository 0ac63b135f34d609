/** The common course of a row: record, break something at a random moment, see it go on, stop. */
import { jobWorkflowId } from '../../src/jobs/messages.js';
import { eventually } from '../patience.js';
import { processes } from '../processes.js';
import { type Recording, recordedOn, startRecording, stopAndWait, untilState } from '../recording.js';
import type { Account, Trial } from '../row.js';

/** Recorded before the fault, at random between these, and after the recovery. */
const pace = {
  quick: { before: [1_000, 2_500], after: 1_500 },
  full: { before: [2_000, 7_000], after: 5_000 },
} as const;

/**
 * Records the demo page, unless told what to start, and lets `fault` break something. `recovered` resolves, at a time it
 * answers, when all is well again; then the recording goes on for a while, is stopped, and ends.
 */
export async function breakWhileRecording(
  trial: Trial,
  fault: (recording: Recording) => Promise<void> | void,
  recovered: (recording: Recording, faultAt: number) => Promise<number>,
  start: () => Promise<Recording> = () => startRecording(trial.bed),
): Promise<Account> {
  const { chance, quick } = trial;
  const { before, after } = quick ? pace.quick : pace.full;
  const recording = await start();
  await untilState(recording, 'RECORDING');
  await recordedOn(recording, chance.between(...(before as [number, number])));
  const faultAt = Date.now();
  await fault(recording);
  const recoveredAt = await recovered(recording, faultAt);
  await recordedOn(recording, after);
  await stopAndWait(recording);
  return { jobs: [recording], recoveryMs: recoveredAt - faultAt };
}

/** When the first media after the fault was recorded, by the wall clock of the next part. */
export function nextPart(trial: Trial, limitMs: number) {
  return (recording: Recording, faultAt: number): Promise<number> =>
    eventually('the next part', limitMs, async () => {
      const parts = await trial.bed.db.part.findMany({
        where: { jobId: recording.jobId, startedAt: { gt: new Date(faultAt) } },
        orderBy: { startedAt: 'asc' },
      });
      return parts[0]?.startedAt?.getTime();
    });
}

/** When clients see the recording go on, and the engine runs the job. */
export function goesOn(trial: Trial, limitMs: number) {
  return async (recording: Recording, faultAt: number): Promise<number> => {
    const { bed } = trial;
    await eventually('the recording to go on', limitMs, async () => {
      const { state } = await recording.archive.facts();
      const stats = await bed.db.jobStats.findUnique({ where: { jobId: recording.jobId } });
      const isFresh = stats !== null && stats.updatedAt.getTime() > faultAt;
      return state === 'RECORDING' && isFresh && (await bed.isRunning(jobWorkflowId(recording.jobId)));
    });
    return Date.now();
  };
}

/** The process of this program that the job's recorder host runs. */
export function childOf(trial: Trial, recording: Recording, program: string): number {
  const host = trial.bed.traces.hostOf(recording.jobId);
  const child = processes().find(({ parent, name }) => parent === host.pid && name === program);
  if (!child) throw new Error(`The recorder host ${host.pid} runs no ${program}.`);
  return child.pid;
}
