/** What a recorder worker writes when a job's files are made: the files, and what was measured of the parts. */
import type { Database, Transaction } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { Job, JobStats, Part } from '../generated/prisma/client.js';
import type { PartEnd } from '../jobs/capture.js';
import type { JobEventPayload } from '../jobs/events.js';
import type { FilesFailedInput } from '../jobs/messages.js';
import { isTerminal } from '../jobs/states.js';
import { addFiles, type DeliveredFile, keysOf, together } from './delivered-files.js';
import { lockJob, tell } from './job-events.js';

/** A part as measured from its media. */
export interface MeasuredPart {
  incarnation: number;
  number: number;
  startedAt: Date;
  durationMs: number;
  bytes: number;
  endCause: PartEnd;
  /** Its length as its host wrote it down when it ended the part, if it did. */
  saidMs?: number;
  /** There is media in it, but nobody could read it. */
  unreadable?: boolean;
}

/** What was made of a job. */
export interface Delivered {
  /** Media in the result, all parts together, milliseconds. */
  recordedMs: number;
  /** Parts of which more was recorded than is in the result. */
  missingParts: number;
  /** Of the files that are the version's: those of whoever was first. */
  storageKeys: string[];
}

/** What players get of a recording, piece by piece. */
export interface PlayerPieces {
  /** As it was recorded. */
  source: { count: number; durationMs: number };
  /** Of renditions. */
  transcoded: { count: number; durationMs: number; bytes: number };
}

/** What recorders report lags behind the media, and runs ahead of it by what an encoder holds back, up to 1.5 s. */
const shorterByMs = 2_000;

/** What the statistics, which are of all parts together, say of the one that is open; one at most is. */
export function openPart(parts: readonly Part[], stats: JobStats | null): { durationMs: number; bytes: number } {
  const sum = (of: (part: Part) => number) => parts.reduce((total, part) => total + of(part), 0);
  return {
    durationMs: Math.max(0, Number(stats?.positionMs ?? 0) - sum((part) => part.durationMs ?? 0)),
    bytes: Math.max(0, Number(stats?.bytes ?? 0) - sum((part) => Number(part.bytes ?? 0))),
  };
}

export function createDeliverables({ db, wake }: { db: Database; wake: Wake }) {
  return {
    /**
     * Writes down the finished files of a version, in one transaction, and answers what the version is from then on: who comes
     * first decides, and of later results nothing is kept, since two machines may have made one. The first version is measured
     * from its parts; parts that are not whole in it, because they could not be found or read, are marked. Another
     * version changes nothing of them, unless nothing was delivered before.
     */
    async delivered(
      jobId: string,
      result: { parts: MeasuredPart[]; files: DeliveredFile[]; recordedMs: number; pieces?: PlayerPieces },
      version = 1,
    ): Promise<Delivered> {
      const delivered = await db.$transaction(async (transaction) => {
        await lockJob(transaction, jobId);
        const job = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
        const decided = await decidedBefore(transaction, job, version);
        // Too late for a job that has ended without it; it can be asked for as another version.
        if (decided || (version === 1 && isTerminal(job.state)))
          return decided ?? (await nothingMore(transaction, jobId));
        if (!job.recordedMs) await measured(transaction, job, result);
        if (version === 1 && job.sessionId && result.pieces)
          await countPieces(transaction, job.sessionId, result.pieces);
        for (const files of together(result.files)) await addFiles(transaction, job, files, version);
        return {
          recordedMs: job.recordedMs || result.recordedMs,
          missingParts: await missingParts(transaction, jobId),
          storageKeys: await keysOf(transaction, jobId, version),
        };
      });
      wake(eventsChannel);
      return delivered;
    },

    /** What was delivered before in this version; null when nothing was. */
    async deliveredBefore(jobId: string, version = 1): Promise<Delivered | null> {
      return decidedBefore(db, await db.job.findUniqueOrThrow({ where: { id: jobId } }), version);
    },

    /**
     * Writes down a piece of a split recording, with what belongs to it, while the recording goes on. Answers under which key
     * the piece is kept: another, where it was there before. Null once the job's files are decided. Idempotent.
     */
    async pieceDelivered(jobId: string, files: readonly DeliveredFile[]): Promise<string | null> {
      const key = await db.$transaction(async (transaction) => {
        await lockJob(transaction, jobId);
        const job = await transaction.job.findUniqueOrThrow({ where: { id: jobId } });
        const piece = files.find((file) => file.piece !== undefined)?.piece ?? null;
        const before = piece && (await transaction.file.findFirst({ where: { jobId, piece, version: 1 } }));
        if (before) return before.storageKey;
        if (isTerminal(job.state) || job.recordedMs !== null) return null;
        await addFiles(transaction, job, files, 1);
        return files[0]?.storageKey ?? null;
      });
      wake(eventsChannel);
      return key;
    },

    /** Names of the pieces that were delivered in a version. */
    async deliveredPieces(jobId: string, version = 1): Promise<Set<string>> {
      const files = await db.file.findMany({
        where: { jobId, version, piece: { not: null } },
        select: { piece: true },
      });
      return new Set(files.flatMap(({ piece }) => piece ?? []));
    },

    /** Tells that files could not be made again: once for each run of the workflow that was to make them. */
    async filesFailed({ jobId, ...failure }: FilesFailedInput): Promise<void> {
      await db.$transaction(async (transaction) => {
        // The lock comes first: an attempt that was thought lost may still be writing it.
        await lockJob(transaction, jobId);
        const payload: JobEventPayload = { type: 'JobFilesFailed', ...failure };
        const same = { jobId, type: payload.type, payload: { path: ['runId'], equals: failure.runId } };
        if ((await transaction.event.count({ where: same })) === 0) await tell(transaction, { jobId }, payload);
      });
      wake(eventsChannel);
    },

    /** To be called before the parts go: from then on the files cannot be made again. */
    async partsRemoved(jobId: string): Promise<void> {
      await db.job.updateMany({ where: { id: jobId, partsRemovedAt: null }, data: { partsRemovedAt: new Date() } });
    },
  };
}

const nothingMore = async (transaction: Transaction, jobId: string): Promise<Delivered> => ({
  recordedMs: 0,
  missingParts: await missingParts(transaction, jobId),
  storageKeys: await keysOf(transaction, jobId, 1),
});

async function decidedBefore(database: Transaction, job: Job, version: number): Promise<Delivered | null> {
  const { id: jobId, recordedMs } = job;
  if (recordedMs === null) return null;
  const storageKeys = await keysOf(database, jobId, version);
  // The first version may hold no file at all: then nothing was recorded.
  if (version > 1 && storageKeys.length === 0) return null;
  return { recordedMs, missingParts: await missingParts(database, jobId), storageKeys };
}

/** Makes the job and its parts what was measured. Parts that were found nowhere are empty from then on. */
async function measured(
  transaction: Transaction,
  job: Job,
  result: { parts: MeasuredPart[]; recordedMs: number },
): Promise<void> {
  const { id: jobId, projectId } = job;
  const known = await transaction.part.findMany({ where: { jobId } });
  const open = openPart(known, await transaction.jobStats.findUnique({ where: { jobId } }));
  const [first, last] = [result.parts[0], result.parts.at(-1)];
  await transaction.job.update({
    where: { id: jobId },
    data: {
      recordedMs: result.recordedMs,
      startedAt: job.startedAt ?? first?.startedAt ?? null,
      stoppedAt: last ? new Date(last.startedAt.getTime() + last.durationMs) : job.stoppedAt,
    },
  });
  for (const { incarnation, number, startedAt, durationMs, bytes, saidMs = 0, ...part } of result.parts) {
    const earlier = known.find((row) => row.incarnation === incarnation && row.number === number);
    // A host that could not say why it ended may have gone with its machine.
    const isLost = earlier?.endCause === 'MACHINE_LOST' && part.endCause === 'HOST_DIED';
    const endCause = isLost ? 'MACHINE_LOST' : part.endCause;
    const knownMs = Math.max(saidMs, earlier ? (earlier.durationMs ?? open.durationMs) : 0);
    // A tail that is missing leaves no gap when it is the last part's: nothing else would tell of it.
    const incomplete = part.unreadable === true || knownMs - durationMs > shorterByMs;
    const row = { startedAt, durationMs, bytes, endCause, incomplete };
    await transaction.part.upsert({
      where: { jobId_incarnation_number: { jobId, incarnation, number } },
      create: { jobId, incarnation, number, projectId, ...row },
      update: row,
    });
  }
  const isFound = (row: Part) =>
    result.parts.some(({ incarnation, number }) => row.incarnation === incarnation && row.number === number);
  for (const { incarnation, number } of known.filter((row) => !isFound(row))) {
    await transaction.part.update({
      where: { jobId_incarnation_number: { jobId, incarnation, number } },
      data: { durationMs: 0, bytes: 0, endCause: 'MACHINE_LOST', incomplete: true },
    });
  }
}

async function countPieces(
  transaction: Transaction,
  sessionId: string,
  { source, transcoded }: PlayerPieces,
): Promise<void> {
  await transaction.$executeRaw`
    INSERT INTO session_stats AS stats (session_id, source_bytes, transcoded_bytes, source_segments, source_segments_ms,
                                        transcoded_segments, transcoded_segments_ms, ingest_rate, outgoing_rate, issues, updated_at)
    VALUES (${sessionId}::uuid, 0, ${transcoded.bytes}, ${source.count}, ${source.durationMs},
            ${transcoded.count}, ${transcoded.durationMs}, 0, 0, '{}', now())
    ON CONFLICT (session_id) DO UPDATE SET
      transcoded_bytes = stats.transcoded_bytes + excluded.transcoded_bytes,
      source_segments = stats.source_segments + excluded.source_segments,
      source_segments_ms = stats.source_segments_ms + excluded.source_segments_ms,
      transcoded_segments = stats.transcoded_segments + excluded.transcoded_segments,
      transcoded_segments_ms = stats.transcoded_segments_ms + excluded.transcoded_segments_ms,
      updated_at = now()`;
}

const missingParts = (database: Transaction, jobId: string): Promise<number> =>
  database.part.count({ where: { jobId, incomplete: true } });
