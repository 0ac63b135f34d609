/** How a job of any kind comes to be: its row, what belongs to its kind, and its first event, in one transaction. */
import { v7 as uuid } from 'uuid';
import { createJobToken } from '../auth/tokens.js';
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import { appendJobEvent, eventsChannel, placementChannel, type Wake } from '../events/outbox.js';
import type { Prisma } from '../generated/prisma/client.js';
import { expectedBytes, expectedPeopleBytes, expectedStreamBytes, reservedMs } from '../jobs/bitrate.js';
import type { Source } from '../jobs/capture.js';
import { costOf } from '../jobs/cost.js';
import type { JobKind } from '../jobs/states.js';
import type { Engine } from '../temporal/client.js';
import { jobInput, queueTimeoutOf } from './job-input.js';
import { type ClientRequest, keepResult } from './requests.js';

export interface NewJob {
  projectId: string;
  kind: JobKind;
  source: Source;
  maxDurationMs: number;
  autostart: boolean;
  /** Null, and what has passed: at once. */
  launchAt: Date | null;
  callbackUrl: string | null;
  roomId: string | null;
  sessionId: string | null;
  idleTimeoutMs: number | null;
  /** As in src/jobs/queue-order.ts; NORMAL when left out. */
  priority?: number;
  /** Started by its room. */
  automatic: boolean;
  /** The recording it is a run of. */
  recordingId?: string;
  /** The schedule that starts it, and when it is to stop whatever it is at. */
  scheduleId?: string;
  stopAt?: Date;
  /** How long its source may take to send its first media, and to come back; as pages may when left out. */
  startTimeoutMs?: number | null;
  reconnectTimeoutMs?: number | null;
  /** The row of its kind. */
  detail: Pick<Prisma.JobUncheckedCreateInput, 'archive' | 'render' | 'task' | 'targets'>;
}

/** A job as a client asked for it, checked, and under which name it did so. */
export interface PreparedJob {
  job: NewJob;
  claim: ClientRequest | null;
}

export interface StartedJob {
  jobId: string;
  /** Shown once: null when the same request had been carried out before. */
  accessToken: string | null;
  sequence: number;
}

export type JobStarter = ReturnType<typeof createJobStarter>;

export function createJobStarter(deps: { db: Database; wake: Wake; config: Config; engine: Engine }) {
  const { db, wake, config, engine } = deps;

  return {
    /**
     * Starts a job; the same `request` once only. `guard` is asked first, in the same transaction: false starts nothing, and
     * null is answered. Throws ConflictError.
     */
    async start<Guarded extends boolean = false>(
      job: NewJob,
      request: ClientRequest | null,
      guard?: (transaction: Transaction) => Promise<boolean>,
    ): Promise<StartedJob | (Guarded extends true ? null : never)> {
      const { source, maxDurationMs, detail, ...row } = job;
      const jobId = uuid();
      const token = createJobToken(jobId);
      const launchAt = job.launchAt && job.launchAt.getTime() > Date.now() ? job.launchAt : null;
      const state = launchAt ? 'SCHEDULED' : 'QUEUED';
      const started = await db.$transaction(async (transaction) => {
        if (guard && !(await guard(transaction))) return null;
        if (request) {
          const { resultId } = await keepResult(transaction, request, { resultId: jobId, sequence: 1 });
          if (resultId !== jobId) return { jobId: resultId, created: null };
        }
        const created = await transaction.job.create({
          data: {
            ...{ ...row, ...detail, id: jobId, state, launchAt, maxDurationMs },
            source: source as unknown as Prisma.InputJsonObject,
            expectedBytes: bytesOf(source, Math.min(maxDurationMs, leftMs(job.stopAt))),
            ...costOf(source),
            accessTokenHash: token.hash,
            eventSequence: 1,
            // Whoever has until a certain time waits until then.
            deadlineAt: launchAt ?? job.stopAt ?? new Date(Date.now() + queueTimeoutOf(row.kind, config)),
            ...(launchAt ? {} : { placement: { create: {} } }),
          },
        });
        const first = { state, previousState: null, reason: null, message: null, actor: null } as const;
        await appendJobEvent(transaction, created, { type: 'JobStateChanged', ...first });
        return { jobId, created };
      });
      if (!started) return null as Guarded extends true ? null : never;
      if (started.created) {
        wake(eventsChannel);
        // Its workflow begins when it is placed: very many may wait. What is to be launched has a timer instead: nobody waits
        // for the engine, and should this fail, the reconciler starts it.
        if (launchAt) void engine.startJob(jobInput(started.created, config)).catch(() => {});
        wake(placementChannel);
      }
      return { jobId: started.jobId, accessToken: started.created ? token.token : null, sequence: 1 };
    },
  };
}

const leftMs = (stopAt: Date | undefined): number =>
  stopAt ? Math.max(1, stopAt.getTime() - Date.now()) : Number.POSITIVE_INFINITY;

function bytesOf(source: Source, maxDurationMs: number): number {
  if (source.kind === 'stream') return expectedStreamBytes(source.recording);
  if (source.kind === 'people') return expectedPeopleBytes(source.users?.length ?? null, maxDurationMs);
  // A run of a recording ends by itself after a week, a task after a day.
  const longestMs = source.recording || source.task ? Math.min(maxDurationMs, reservedMs) : maxDurationMs;
  const bytes = expectedBytes({ ...source, maxDurationMs: longestMs });
  // Nothing is made of what is only sent on: half of the space is for the result.
  return source.keep === false ? Math.ceil(bytes / 2) : bytes;
}
