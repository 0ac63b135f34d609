/** Jobs of every kind: finding, stopping and canceling them. */
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Job } from '../generated/prisma/client.js';
import type { JobInput } from '../jobs/messages.js';
import { isGranted, isTerminal, type JobRequest, type JobState } from '../jobs/states.js';
import type { Engine, EngineAnswer } from '../temporal/client.js';
import { InvalidStateError, NotFoundError, UnavailableError, ValidationError } from './errors.js';
import { earlierResult, keepResult, requestIdRule } from './requests.js';
import { visibleJobs } from './visibility.js';

/** The arguments of a job's workflow. */
export function jobInput(job: Pick<Job, 'id' | 'maxDurationMs'>, config: Pick<Config, 'queueTimeoutMs'>): JobInput {
  return { jobId: job.id, maxDurationMs: job.maxDurationMs, queueTimeoutMs: config.queueTimeoutMs };
}

export interface JobAnswer {
  jobId: string;
  /** Number of the job's event that the request caused. */
  sequence: number;
}

const refusals: Record<JobRequest, string> = {
  stop: 'Only a job that is recording can be stopped; cancelJob ends one that has not begun.',
  cancel: 'Only a job that has not begun to record can be canceled; a recording one is stopped.',
};

export function createJobs({ db, engine }: { db: Database; engine: Engine }) {
  const refusal = (request: JobRequest, state: string) =>
    new InvalidStateError(state, `The job is ${state.toLowerCase()}. ${refusals[request]}`);

  /**
   * The row's state is what the client was shown, so it is asked first; the workflow's answer decides races. Sent again
   * with the same id, a granted request answers as it did the first time, whatever the job has come to since.
   */
  async function request(
    kind: JobRequest,
    jobId: string,
    viewer: Viewer,
    requestId: string | undefined,
    ask: (updateId: string | undefined) => Promise<EngineAnswer>,
  ): Promise<JobAnswer> {
    checkRequestId(requestId);
    const job = await db.job.findFirst({
      where: { ...visibleJobs(viewer), AND: { id: jobId } },
      select: { state: true },
    });
    if (!job) throw new NotFoundError('There is no such job.');
    const named =
      requestId === undefined
        ? null
        : {
            projectId: viewer.projectId,
            // The holder of a job's token must not use up the project's own request ids.
            operation: viewer.kind === 'job' ? `${kind}:${viewer.jobId}` : kind,
            requestId,
            payload: { jobId },
          };
    const earlier = named && (await earlierResult(db, named));
    if (earlier) return { jobId, sequence: earlier.sequence };
    // Granted before, but the answer was lost on its way: the workflow still knows what it answered to this id.
    const mayBeRepeated = named !== null && isEnding(job.state);
    if (!isGranted(kind, job.state) && !mayBeRepeated) throw refusal(kind, job.state);
    const answer = await ask(named ? `${kind}:${requestId}` : undefined);
    if (answer.kind === 'granted') {
      const { sequence } = answer;
      if (named) await keepResult(db, named, { resultId: jobId, sequence });
      return { jobId, sequence };
    }
    if (answer.kind === 'refused') throw refusal(kind, isEnding(job.state) ? job.state : answer.state);
    const now = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true } });
    if (isTerminal(now.state)) throw refusal(kind, now.state);
    throw new UnavailableError(
      'The engine did not answer in time. The request may still take effect; look at the job and ask again.',
    );
  }

  return {
    /** Ends a recording, keeping it. Throws ValidationError, NotFoundError, InvalidStateError, ConflictError, UnavailableError. */
    stop: (jobId: string, viewer: Viewer, requestId?: string): Promise<JobAnswer> =>
      request('stop', jobId, viewer, requestId, (updateId) => engine.stopJob(jobId, updateId)),

    /** Gives up a job that has not begun to record, keeping nothing. Throws as `stop` does. */
    cancel: (jobId: string, viewer: Viewer, requestId?: string): Promise<JobAnswer> =>
      request('cancel', jobId, viewer, requestId, (updateId) => engine.cancelJob(jobId, updateId)),

    find: (query: object, id: string, viewer: Viewer): Promise<Job | null> =>
      db.job.findFirst({ ...query, where: { ...visibleJobs(viewer), AND: { id } } }),

    /** 1 for the job that is placed next; null when the job does not wait for a machine. */
    async queuePosition(jobId: string): Promise<number | null> {
      const [row] = await db.$queryRaw<{ position: bigint | null }[]>`
        SELECT (SELECT count(*) FROM placement earlier
                 WHERE earlier.machine_id IS NULL AND (earlier.requested_at, earlier.job_id) <= (own.requested_at, own.job_id)) AS position
          FROM placement own WHERE own.job_id = ${jobId}::uuid AND own.machine_id IS NULL`;
      return row?.position == null ? null : Number(row.position);
    },
  };
}

const isEnding = (state: JobState): boolean => state === 'STOPPING' || state === 'FINALIZING' || isTerminal(state);

function checkRequestId(requestId: string | undefined): void {
  const parsed = requestIdRule.optional().safeParse(requestId);
  if (parsed.success) return;
  throw new ValidationError(parsed.error.issues.map(({ message }) => ({ field: 'requestId', message })));
}
