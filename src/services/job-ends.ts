/** Ending jobs for reasons of ours, whatever they are at: what was recorded is kept, and what has not begun is given up. */
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { JobReason } from '../jobs/reasons.js';
import { hasBegun, type JobState, liveStates } from '../jobs/states.js';
import { limitedTo } from '../limited.js';
import type { Engine, EngineAnswer } from '../temporal/client.js';
import { resumingInput } from './job-input.js';

/** Ends asked of the engine at once; each may take 15 s when it does not answer. */
const endsAtOnce = 8;

export type JobEnds = ReturnType<typeof createJobEnds>;

export function createJobEnds({ db, config, engine }: { db: Database; config: Config; engine: Engine }) {
  async function ask(jobId: string, state: JobState, reason: JobReason): Promise<EngineAnswer> {
    if (hasBegun(state)) return engine.stop(jobId, reason);
    const answer = await engine.ask(jobId, 'cancel', `cancel-for:${reason}`);
    // It began to record just before.
    return answer.kind === 'refused' && hasBegun(answer.state as JobState) ? engine.stop(jobId, reason) : answer;
  }

  async function end(jobId: string, reason: JobReason): Promise<void> {
    const job = await db.job.findUnique({ where: { id: jobId } });
    if (!job || !liveStates.includes(job.state)) return;
    const answer = await ask(jobId, job.state, reason);
    if (answer.kind !== 'absent') return;
    // Its workflow was lost, or never started.
    await engine.startJob(resumingInput(job, config));
    await ask(jobId, job.state, reason);
  }

  return {
    /** Answers which could not be ended now, and why: they are to be ended later. */
    async endAll(jobIds: readonly string[], reason: JobReason): Promise<{ jobId: string; error: unknown }[]> {
      const failed: { jobId: string; error: unknown }[] = [];
      const endOne = limitedTo(endsAtOnce)((jobId: string) =>
        end(jobId, reason).catch((error) => failed.push({ jobId, error })),
      );
      await Promise.all(jobIds.map(endOne));
      return failed;
    },
  };
}
