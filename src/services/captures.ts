/** What a recorder worker writes about a job it records: incarnations, parts, warnings, and in the end the files. */
import { batched } from '../batched.js';
import type { Database, Transaction } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { Job } from '../generated/prisma/client.js';
import type { Arrangement, HostSpec, HostWarning, PartEnd, PublicationSpec, Source } from '../jobs/capture.js';
import type { JobEventPayload } from '../jobs/events.js';
import type { RecorderWish } from '../jobs/messages.js';
import { previewWantedMs } from '../jobs/preview.js';
import { isTerminal, type JobState } from '../jobs/states.js';
import { newMediaId } from '../media/identity.js';
import { createDeliverables, openPart } from './deliverables.js';
import { endWarnings, tell } from './job-events.js';
import { createTargetStates } from './target-states.js';
import type { Transitions } from './transitions.js';

/** What a new host needs to know of its job. */
export type Incarnation = Pick<HostSpec, 'incarnation' | 'maxDurationMs' | 'endsAt' | 'hold'> & {
  job: Job;
  source: Source;
};

/** What the recorder of a job waits for before it records; null when it shall record. */
export function recorderHold(job: Pick<Job, 'autostart' | 'begunAt' | 'state'>): HostSpec['hold'] {
  if (!job.autostart && !job.begunAt) return 'standby';
  return job.state === 'PAUSED' ? 'paused' : null;
}

const recordableStates: readonly JobState[] = ['STARTING', 'STANDBY', 'RECORDING', 'RECONNECTING'];

export interface PartKey {
  jobId: string;
  incarnation: number;
  number: number;
}

/** What is wished of a job's recorder. */
export interface Wanted {
  /** Undefined while the job waits to be begun, and once it ends. */
  wish: RecorderWish | undefined;
  arrangement: Arrangement;
}

function wishIn(job: Pick<Job, 'state' | 'autostart' | 'begunAt'>): RecorderWish | undefined {
  if (job.state === 'PAUSED') return 'pause';
  return recorderHold(job) === null && recordableStates.includes(job.state) ? 'record' : undefined;
}

export function createCaptures({ db, wake, transitions }: { db: Database; wake: Wake; transitions: Transitions }) {
  const rowOf = batched(async (ids) => {
    const jobs = await db.job.findMany({
      where: { id: { in: ids } },
      select: {
        ...{ id: true, state: true, autostart: true, begunAt: true, source: true, previewWantedAt: true },
        targets: { where: { removedAt: null }, orderBy: { id: 'asc' } },
      },
    });
    return new Map(jobs.map((job) => [job.id, job]));
  });

  /** Ends the parts of earlier incarnations of which nobody said an end. Their lengths are measured when the job is finalized. */
  async function closeLostParts(transaction: Transaction, jobId: string): Promise<void> {
    const [parts, stats] = await Promise.all([
      transaction.part.findMany({ where: { jobId }, orderBy: [{ incarnation: 'asc' }, { number: 'asc' }] }),
      transaction.jobStats.findUnique({ where: { jobId } }),
    ]);
    let left = openPart(parts, stats);
    for (const { incarnation, number } of parts.filter(({ endCause }) => endCause === null)) {
      const cause = 'MACHINE_LOST';
      await transaction.part.update({
        where: { jobId_incarnation_number: { jobId, incarnation, number } },
        data: { ...left, endCause: cause },
      });
      const { durationMs } = left;
      await tell(transaction, { jobId }, { type: 'JobPartEnded', incarnation, number, durationMs, cause });
      left = { durationMs: 0, bytes: 0 };
    }
  }

  return {
    ...createDeliverables({ db, wake }),
    ...createTargetStates({ db, wake }),

    /**
     * Claims the job for a new host on this machine: from now on older incarnations' words are refused, and what they left
     * open is over. Null when the job is not to be recorded any more.
     */
    async beginIncarnation(jobId: string, machineId: string): Promise<Incarnation | null> {
      const claimed = await db.$transaction(async (transaction) => {
        const [job] = await transaction.job.updateManyAndReturn({
          where: { id: jobId, state: { in: [...recordableStates, 'PAUSED'] } },
          data: { incarnation: { increment: 1 }, machineId },
        });
        if (job) await closeLostParts(transaction, jobId);
        return job;
      });
      if (!claimed) return null;
      wake(eventsChannel);
      const { incarnation, startedAt, maxDurationMs, pausedMs, state, stateSince } = claimed;
      const pausedForMs = state === 'PAUSED' ? Date.now() - stateSince.getTime() : 0;
      return {
        job: claimed,
        incarnation,
        source: claimed.source as unknown as Source,
        maxDurationMs,
        endsAt: startedAt && startedAt.getTime() + maxDurationMs + pausedMs + pausedForMs,
        hold: recorderHold(claimed),
      };
    },

    /** What the job's recorder shall be doing, and how. Asked of many jobs at once, one query. */
    async wantedOf(jobId: string): Promise<Wanted> {
      const job = await rowOf(jobId);
      if (!job) throw new Error('The job is gone.');
      const source = job.source as unknown as Source;
      return {
        wish: wishIn(job),
        arrangement: {
          layout: source.kind === 'page' ? (source.room?.layout ?? null) : null,
          recording: source.kind === 'stream' ? source.recording : null,
          preview: Date.now() - (job.previewWantedAt?.getTime() ?? 0) < previewWantedMs,
          targets: job.targets.map(({ id, url, bytesSent }) => ({ id, url, sentBefore: Number(bytesSent) })),
        },
      };
    },

    /** As what a render is about to be published; null for a job of another kind. Others in the room see it by its name. */
    async publicationOf({ id, kind, roomId }: Pick<Job, 'id' | 'kind' | 'roomId'>): Promise<PublicationSpec | null> {
      if (kind !== 'RENDER' || roomId === null) return null;
      const mediaId = newMediaId('render', `render-${id}`);
      const { name } = await db.render.update({ where: { id }, data: { streamId: mediaId } });
      return { roomId, mediaId, name };
    },

    /** The first frame of a part: the job is recording (again). Idempotent. */
    async partStarted(key: PartKey, startedAt: Date): Promise<void> {
      await db.$transaction(async (transaction) => {
        const payload: JobEventPayload = {
          type: 'JobPartStarted',
          incarnation: key.incarnation,
          number: key.number,
          startedAt: startedAt.toISOString(),
        };
        // Read again after a restart: the part may have ended long since.
        if (await transaction.part.findUnique({ where: { jobId_incarnation_number: key } })) return;
        const told = await tell(transaction, key, payload);
        if (!told) return;
        const { projectId, machineId } = told;
        await transaction.part.create({ data: { ...key, projectId, machineId, startedAt } });
        await transitions.enter(transaction, {
          jobId: key.jobId,
          to: 'RECORDING',
          // A paused job is left only when it is resumed; the part is there all the same.
          from: ['STARTING', 'STANDBY', 'RECONNECTING'],
          incarnation: key.incarnation,
          patch: told.startedAt ? {} : { startedAt },
        });
      });
      wake(eventsChannel);
    },

    /** The end of a part, measured by the host. Idempotent. */
    async partEnded(key: PartKey, end: { durationMs: number; bytes: number; cause: PartEnd }): Promise<void> {
      await db.$transaction(async (transaction) => {
        const { count } = await transaction.part.updateMany({
          where: { ...key, endCause: null },
          data: { durationMs: end.durationMs, bytes: end.bytes, endCause: end.cause },
        });
        if (count === 0) return;
        const { incarnation, number } = key;
        await tell(
          transaction,
          { jobId: key.jobId },
          { type: 'JobPartEnded', incarnation, number, durationMs: end.durationMs, cause: end.cause },
        );
      });
      wake(eventsChannel);
    },

    /** Makes the job's open warnings those that the incarnation's host has now, if it is the newest. Idempotent. */
    async warned(key: { jobId: string; incarnation: number }, warnings: readonly HostWarning[]): Promise<void> {
      const { jobId, incarnation } = key;
      await db.$transaction(async (transaction) => {
        // Two watchers of a job must not tell the same thing twice.
        const [newest] = await transaction.$queryRaw<{ state: JobState }[]>`
          SELECT state::text FROM job WHERE id = ${jobId}::uuid AND incarnation = ${incarnation} FOR UPDATE`;
        // With its end a job's warnings are over, and everything is told.
        if (!newest || isTerminal(newest.state)) return;
        const open = await transaction.jobWarning.findMany({ where: { jobId, clearedAt: null } });
        const over = open.filter((row) => !warnings.some((warning) => isSame(row, warning)));
        const added = warnings.filter((warning) => !open.some((row) => isSame(row, warning)));
        await endWarnings(transaction, over);
        for (const { code, since, message } of added) {
          const told = await tell(transaction, key, { type: 'JobWarningRaised', code, message });
          const raisedAt = new Date(since);
          await transaction.jobWarning.upsert({
            where: { jobId_code_raisedAt: { jobId, code, raisedAt } },
            create: { jobId, code, raisedAt, message, projectId: (told as Job).projectId },
            update: { message, clearedAt: null },
          });
        }
      });
      wake(eventsChannel);
    },
  };
}

const isSame = (row: { code: string; raisedAt: Date }, { code, since }: HostWarning): boolean =>
  row.code === code && row.raisedAt.getTime() === since;

export type Captures = ReturnType<typeof createCaptures>;
