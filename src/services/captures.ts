/** What a recorder worker writes about a job it records: incarnations, parts, and in the end the files. */
import { v7 as uuid } from 'uuid';
import type { Database, Transaction } from '../db.js';
import { appendJobEvent, eventsChannel, type Wake } from '../events/outbox.js';
import type { FileKind, Job } from '../generated/prisma/client.js';
import type { PageSource, PartEnd } from '../jobs/capture.js';
import type { JobEventPayload } from '../jobs/events.js';
import { isTerminal } from '../jobs/states.js';
import type { Transitions } from './transitions.js';

export interface Incarnation {
  incarnation: number;
  source: PageSource;
  /** What is left of the job's maximum duration, wall time, milliseconds. */
  remainingMs: number;
}

export interface PartKey {
  jobId: string;
  incarnation: number;
  number: number;
}

/** A part as measured from its media. */
export interface MeasuredPart {
  incarnation: number;
  number: number;
  startedAt: Date;
  durationMs: number;
  bytes: number;
  endCause: PartEnd;
}

/** A file in the storage. */
export interface DeliveredFile {
  kind: FileKind;
  name: string;
  storageKey: string;
  mediaType: string;
  sizeBytes: number;
  sha256: Buffer;
  durationMs?: number;
  width?: number;
  height?: number;
  videoCodec?: string;
  audioCodec?: string;
}

export function createCaptures({ db, wake, transitions }: { db: Database; wake: Wake; transitions: Transitions }) {
  /** Raises the job's event number and appends the event, if the incarnation is still the newest. */
  async function tell(
    transaction: Transaction,
    key: { jobId: string; incarnation?: number },
    payload: JobEventPayload,
  ): Promise<Job | null> {
    const { jobId, incarnation } = key;
    const [job] = await transaction.job.updateManyAndReturn({
      where: { id: jobId, ...(incarnation === undefined ? {} : { incarnation }) },
      data: { eventSequence: { increment: 1 } },
    });
    if (job) await appendJobEvent(transaction, job, payload);
    return job ?? null;
  }

  return {
    /** Claims the job for a new host on this machine: from now on older incarnations' words are refused. Null when the job has ended. */
    async beginIncarnation(jobId: string, machineId: string): Promise<Incarnation | null> {
      const [job] = await db.job.updateManyAndReturn({
        where: { id: jobId, state: { in: ['STARTING', 'STANDBY', 'RECORDING', 'RECONNECTING'] } },
        data: { incarnation: { increment: 1 }, machineId },
      });
      if (!job || isTerminal(job.state)) return null;
      const elapsedMs = job.startedAt ? Date.now() - job.startedAt.getTime() : 0;
      return {
        incarnation: job.incarnation,
        source: job.source as unknown as PageSource,
        remainingMs: job.maxDurationMs - elapsedMs,
      };
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
        await transaction.part.create({ data: { ...key, projectId: told.projectId, startedAt } });
        await transitions.enter(transaction, {
          jobId: key.jobId,
          to: 'RECORDING',
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

    /** Writes down the finished files and what was measured of the parts, in one transaction. Idempotent. */
    async delivered(
      jobId: string,
      result: { parts: MeasuredPart[]; files: DeliveredFile[]; recordedMs: number },
    ): Promise<void> {
      await db.$transaction(async (transaction) => {
        const { projectId } = await transaction.job.update({
          where: { id: jobId },
          data: { recordedMs: result.recordedMs },
        });
        for (const { incarnation, number, startedAt, durationMs, bytes, endCause } of result.parts) {
          const measured = { startedAt, durationMs, bytes, endCause };
          await transaction.part.upsert({
            where: { jobId_incarnation_number: { jobId, incarnation, number } },
            create: { jobId, incarnation, number, projectId, ...measured },
            update: measured,
          });
        }
        const last = result.parts.at(-1);
        if (last) {
          const stoppedAt = new Date(last.startedAt.getTime() + last.durationMs);
          await transaction.job.update({ where: { id: jobId }, data: { stoppedAt } });
        }
        for (const file of result.files) {
          const data = { ...file, sha256: new Uint8Array(file.sha256), projectId, jobId };
          const known = await transaction.file.findUnique({
            where: { jobId_name_version: { jobId, name: file.name, version: 1 } },
          });
          if (known) {
            await transaction.file.update({ where: { id: known.id }, data });
            continue;
          }
          const { id, name, kind } = await transaction.file.create({ data: { ...data, id: uuid() } });
          await tell(transaction, { jobId }, { type: 'JobFileAdded', fileId: id, name, kind });
        }
      });
      wake(eventsChannel);
    },
  };
}
export type Captures = ReturnType<typeof createCaptures>;
