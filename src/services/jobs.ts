/** Jobs of every kind: finding, stopping and canceling them. */
import type { Viewer } from '../auth/viewer.js';
import { batched } from '../batched.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Job, Prisma } from '../generated/prisma/client.js';
import { isGranted, isTerminal, type JobRequest, type JobState } from '../jobs/states.js';
import type { Engine, EngineAnswer } from '../temporal/client.js';
import { InvalidStateError, NotFoundError, UnavailableError } from './errors.js';
import { resumingInput } from './job-input.js';
import { createdWithin, idsWithin, type JobFilter, jobIdsOfPage, type PageQuery, withoutCursor } from './job-pages.js';
import { checkRequestId, earlierResult, keepResult, named } from './requests.js';
import { visibleJobs } from './visibility.js';

export interface JobAnswer {
  jobId: string;
  /** Number of the job's event that the request caused. */
  sequence: number;
}

export interface JobsFilter extends JobFilter {
  /** Null is no room at all, and no session: the id that was given cannot be one. */
  roomId?: string | null | undefined;
  sessionId?: string | null | undefined;
  /** Its runs. */
  recordingId?: string | undefined;
  /** What it has started. */
  scheduleId?: string | undefined;
}

const refusals: Record<JobRequest, string> = {
  stop: 'Only a job that is recording can be stopped; cancelJob ends one that has not begun.',
  cancel: 'Only a job that has not begun to record can be canceled; a recording one is stopped.',
  begin: 'Only a job in STANDBY can be begun: one that was started with autostart off, once its page is ready.',
  pause: 'Only a job that is recording can be paused.',
  resume: 'Only a paused job can be resumed.',
};

/** The row grants these in the end, so that the workflow can be asked whatever state was read before. */
const grantedByRow: readonly JobRequest[] = ['begin', 'pause', 'resume'];

export type Jobs = ReturnType<typeof createJobs>;

export function createJobs({ db, engine, config }: { db: Database; engine: Engine; config: Config }) {
  const refusal = (request: JobRequest, state: string) =>
    new InvalidStateError(state, `The job is ${state.toLowerCase()}. ${refusals[request]}`);

  /** Asks the job's workflow; where it was lost, or never started, it is started again first. */
  async function ask(jobId: string, kind: JobRequest, updateId?: string): Promise<EngineAnswer> {
    const answer = await engine.ask(jobId, kind, updateId);
    if (answer.kind !== 'absent') return answer;
    const job = await db.job.findUniqueOrThrow({ where: { id: jobId } });
    // A workflow does not end before the job's last state is written.
    if (isTerminal(job.state)) return answer;
    // Should this fail, the engine is away, and asking says so.
    await engine.startJob(resumingInput(job, config)).catch(() => {});
    return engine.ask(jobId, kind, updateId);
  }

  /**
   * The row's state is what the client was shown, so it is asked first; the workflow's answer decides races. Sent again
   * with the same id, a granted request answers as it did the first time, whatever the job has come to since.
   */
  async function request(kind: JobRequest, jobId: string, viewer: Viewer, requestId?: string): Promise<JobAnswer> {
    checkRequestId(requestId);
    const job = await db.job.findFirst({
      where: { ...visibleJobs(viewer), AND: { id: jobId } },
      select: { state: true },
    });
    if (!job) throw new NotFoundError('There is no such job.');
    const claim = named(viewer, kind, requestId, { jobId });
    const earlier = claim && (await earlierResult(db, claim));
    if (earlier) return { jobId, sequence: earlier.sequence };
    // Granted before, but the answer was lost on its way: the workflow still knows what it answered to this id.
    const mayBeRepeated = claim !== null && (isEnding(job.state) || grantedByRow.includes(kind));
    if (!isGranted(kind, job.state) && !mayBeRepeated) throw refusal(kind, job.state);
    const answer = await ask(jobId, kind, claim ? `${kind}:${requestId}` : undefined);
    if (answer.kind === 'granted') {
      const { sequence } = answer;
      if (claim) await keepResult(db, claim, { resultId: jobId, sequence });
      return { jobId, sequence };
    }
    if (answer.kind === 'refused') throw refusal(kind, isEnding(job.state) ? job.state : answer.state);
    const now = await db.job.findUniqueOrThrow({ where: { id: jobId }, select: { state: true } });
    if (isTerminal(now.state)) throw refusal(kind, now.state);
    throw new UnavailableError(
      'The engine did not answer in time. The request may still take effect; look at the job and ask again.',
    );
  }

  const where = (filter: JobsFilter, viewer: Viewer, id = idsWithin(filter)): Prisma.JobWhereInput => ({
    ...visibleJobs(viewer),
    AND: { id },
    createdAt: createdWithin(filter),
    ...(filter.states ? { state: { in: [...new Set(filter.states)] } } : {}),
    ...(filter.kinds ? { kind: { in: [...new Set(filter.kinds)] } } : {}),
    ...(filter.roomId === undefined ? {} : { roomId: { in: filter.roomId ? [filter.roomId] : [] } }),
    ...(filter.sessionId === undefined ? {} : { sessionId: { in: filter.sessionId ? [filter.sessionId] : [] } }),
    ...(filter.recordingId === undefined ? {} : { recordingId: filter.recordingId }),
    ...(filter.scheduleId === undefined ? {} : { scheduleId: filter.scheduleId }),
  });

  const projectOf = batched(async (ids) => {
    const jobs = await db.job.findMany({ where: { id: { in: ids } }, select: { id: true, projectId: true } });
    return new Map(jobs.map(({ id, projectId }) => [id, projectId]));
  });

  return {
    /** Asks something of a job. Throws ValidationError, NotFoundError, InvalidStateError, ConflictError, UnavailableError. */
    request,

    /**
     * Ends a job wherever it stands: one that has not begun to record is canceled, any other is stopped. Throws as `request`.
     */
    async end(jobId: string, viewer: Viewer, requestId?: string): Promise<JobAnswer> {
      for (const kind of ['stop', 'cancel'] as const) {
        try {
          return await request(kind, jobId, viewer, requestId);
        } catch (error) {
          const other = kind === 'stop' ? 'cancel' : 'stop';
          if (!(error instanceof InvalidStateError) || !isGranted(other, error.state as JobState)) throw error;
        }
      }
      // It began to record between the two.
      return request('stop', jobId, viewer, requestId);
    },

    /** Throws NotFoundError for a job that is not there, or not the viewer's. */
    async requireVisible(id: string, viewer: Viewer): Promise<void> {
      const isOwn = viewer.kind === 'key' || visibleJobs(viewer).id === id;
      if (!isOwn || (await projectOf(id)) !== viewer.projectId) throw new NotFoundError('There is no such job.');
    },

    find: (query: object, id: string, viewer: Viewer): Promise<Job | null> =>
      db.job.findFirst({ ...query, where: { ...visibleJobs(viewer), AND: { id } } }),

    /** Newest first. */
    async list(page: PageQuery, filter: JobsFilter, viewer: Viewer): Promise<Job[]> {
      const { query, ids } = withoutCursor(page, filter);
      // A room's, a session's, a recording's or a schedule's jobs are few, and a token's are one.
      const { roomId, sessionId, recordingId, scheduleId } = filter;
      const areFew =
        viewer.kind !== 'key' || [roomId, sessionId, recordingId, scheduleId].some((id) => id !== undefined);
      const isWhole = !filter.states && !filter.kinds;
      const found = areFew || isWhole ? null : await jobIdsOfPage(db, viewer, filter, { ids, take: query.take });
      return db.job.findMany({
        ...query,
        where: found ? { id: { in: found } } : where(filter, viewer, ids),
        orderBy: { id: 'desc' },
      });
    },

    count: (filter: JobsFilter, viewer: Viewer): Promise<number> => db.job.count({ where: where(filter, viewer) }),
  };
}

const isEnding = (state: JobState): boolean => state === 'STOPPING' || state === 'FINALIZING' || isTerminal(state);
