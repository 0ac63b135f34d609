/** Where jobs are broadcast to: far servers that are added and taken away while they are live. */
import { v7 as uuid } from 'uuid';
import type { Viewer } from '../auth/viewer.js';
import type { Database, Transaction } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { Job, JobTarget } from '../generated/prisma/client.js';
import { isTerminal, type JobState } from '../jobs/states.js';
import { InvalidStateError, NotFoundError, ValidationError } from './errors.js';
import { lockJob, tell } from './job-events.js';
import type { JobAnswer } from './jobs.js';
import { checkRequestId, earlierResult, keepResult, named } from './requests.js';
import type { TargetUrlCheck } from './target-urls.js';
import { visibleJobs } from './visibility.js';

/** Each costs a connection at the bit rate of the recording. */
export const mostTargets = 8;

const endingStates: readonly JobState[] = ['STOPPING', 'FINALIZING'];
/** Nobody works on the job yet who would say what becomes of a target. */
const waitingStates: readonly JobState[] = ['SCHEDULED', 'QUEUED'];

export interface OutputsUpdate {
  jobId: string;
  /** URLs with their stream keys. */
  add: readonly string[];
  /** Ids of targets. */
  remove: readonly string[];
}

export function createTargets({ db, wake, checkUrl }: { db: Database; wake: Wake; checkUrl: TargetUrlCheck }) {
  function checkState({ state }: Job): void {
    if (!isTerminal(state) && !endingStates.includes(state)) return;
    const message = `The job is ${state.toLowerCase()}. Only one that is yet to be recorded, or being recorded, is broadcast.`;
    throw new InvalidStateError(state, message);
  }

  async function removeFrom(transaction: Transaction, job: Job, target: JobTarget): Promise<void> {
    const isOver = waitingStates.includes(job.state) && target.state !== 'ENDED';
    const patch = isOver ? { state: 'ENDED' as const, message: null, stateSince: new Date() } : {};
    await transaction.jobTarget.update({ where: { id: target.id }, data: { removedAt: new Date(), ...patch } });
    if (!isOver) return;
    const payload = { type: 'JobTargetChanged', targetId: target.id, state: 'ENDED', message: null } as const;
    await tell(transaction, { jobId: job.id }, payload);
  }

  async function addTo(transaction: Transaction, { id: jobId, projectId }: Job, url: string): Promise<void> {
    const { id: targetId, state } = await transaction.jobTarget.create({
      data: { id: uuid(), jobId, projectId, url },
    });
    await tell(transaction, { jobId }, { type: 'JobTargetChanged', targetId, state, message: null });
  }

  return {
    /**
     * Adds and takes away targets of a job that is not over; its recorder follows within about 3 s. Throws ValidationError,
     * NotFoundError (job, target), InvalidStateError, UrlRefusedError, ConflictError.
     */
    async update({ jobId, add, remove }: OutputsUpdate, viewer: Viewer, requestId?: string): Promise<JobAnswer> {
      checkRequestId(requestId);
      const visible = await db.job.findFirst({ where: { ...visibleJobs(viewer), AND: { id: jobId } } });
      if (!visible) throw new NotFoundError('There is no such job.');
      const claim = named(viewer, 'updateJobOutputs', requestId, { jobId, add, remove });
      const earlier = claim && (await earlierResult(db, claim));
      if (earlier) return { jobId, sequence: earlier.sequence };
      checkState(visible);
      const urls: string[] = [];
      for (const [index, text] of add.entries()) urls.push(await checkUrl(text, `add[${index}]`));
      const answer = await db.$transaction(async (transaction) => {
        await lockJob(transaction, jobId);
        // The same request may have been carried out while this one waited.
        const twin = claim && (await earlierResult(transaction, claim));
        if (twin) return twin;
        const job = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
        checkState(job);
        const targets = await transaction.jobTarget.findMany({ where: { jobId } });
        for (const id of new Set(remove)) {
          const target = targets.find((each) => each.id === id);
          if (!target) throw new NotFoundError('The job has no such target. Use an id that `Job.targets` gives.');
          if (!target.removedAt) await removeFrom(transaction, job, target);
        }
        const kept = targets.filter(({ id, removedAt }) => !removedAt && !remove.includes(id));
        checkNumber(kept, urls);
        for (const url of urls) await addTo(transaction, job, url);
        const { eventSequence: sequence } = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
        const result = { resultId: jobId, sequence };
        return claim ? keepResult(transaction, claim, result) : result;
      });
      wake(eventsChannel);
      return { jobId, sequence: answer.sequence };
    },

    find: (query: object, id: string, viewer: Viewer): Promise<JobTarget | null> =>
      db.jobTarget.findFirst({ ...query, where: { id, job: visibleJobs(viewer) } }),
  };
}

function checkNumber(kept: readonly JobTarget[], urls: readonly string[]): void {
  const twice = urls.findIndex((url, index) => urls.indexOf(url) < index || kept.some((each) => each.url === url));
  if (twice >= 0)
    throw new ValidationError([
      { field: `add[${twice}]`, message: 'is a server that the job is broadcast to already' },
    ]);
  if (kept.length + urls.length <= mostTargets) return;
  const message = `would make ${kept.length + urls.length} targets; a job has at most ${mostTargets}`;
  throw new ValidationError([{ field: 'add', message }]);
}
