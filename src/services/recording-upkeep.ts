/** What follows from the rows of recordings, wherever whoever should have done it was restarted. */
import type { Logger } from 'pino';
import type { Database, Transaction } from '../db.js';
import type { Prisma } from '../generated/prisma/client.js';
import { liveStates, terminalStates } from '../jobs/states.js';
import type { FileRemoval } from './file-removal.js';
import { freePorts, hideFilesOf } from './recording-removal.js';
import type { RecordingRuns } from './recording-runs.js';

const recordingsAtOnce = 100;
/** A workflow ends within moments of its job; what it still asks finds its rows. */
const rowsGraceMs = 5_000;
/** A machine that is away for so long has no say any more in when rows go; nor has a receiver of callbacks. */
const patienceMs = 24 * 3_600_000;

/**
 * Again and again: runs that are not wanted any more end, and what was deleted goes.
 * `sharedParts`: parts are kept in a storage that every machine reaches.
 */
export function createRecordingUpkeep(deps: {
  db: Database;
  files: FileRemoval;
  runs: RecordingRuns;
  sharedParts: boolean;
  log: Logger;
}) {
  const { db, files, runs, sharedParts, log } = deps;

  /** Runs of recordings that are not to be running, or that have a newer run. */
  async function endUnwanted(): Promise<void> {
    const unwanted = await db.$queryRaw<{ id: string; replaced: boolean }[]>`
      SELECT job.id, newer.id IS NOT NULL AS replaced
        FROM job JOIN recording ON recording.id = job.recording_id
        LEFT JOIN LATERAL (SELECT id FROM job AS other
                            WHERE other.recording_id = recording.id AND other.id > job.id LIMIT 1) AS newer ON true
       WHERE job.state = ANY(${liveStates}::"JobState"[])
         AND (NOT recording.active OR recording.deleted_at IS NOT NULL OR newer.id IS NOT NULL)`;
    for (const replaced of [true, false]) {
      const jobIds = unwanted.filter((each) => each.replaced === replaced).map(({ id }) => id);
      for (const { jobId, error } of await runs.endAll(jobIds, replaced ? 'REPLACED' : 'USER_INITIATED'))
        log.warn({ jobId, err: error }, 'a run that is not wanted any more could not be ended yet');
    }
  }

  /** Nothing is left of them but rows: no run, no file in the storage, nothing on a machine that is there. */
  async function removeRows(): Promise<void> {
    const since = new Date(Date.now() - patienceMs);
    const present = await db.machine.findMany({ where: { lastSeenAt: { gt: since } }, select: { id: true } });
    const here = { machineId: { in: present.map(({ id }) => id) } };
    const isLeft: Prisma.JobWhereInput = {
      OR: [
        { state: { notIn: [...terminalStates] } },
        { endedAt: { gt: new Date(Date.now() - rowsGraceMs) } },
        { files: { some: { removedAt: null } } },
        here,
        { parts: { some: here } },
        ...(sharedParts ? [{ partsRemovedAt: null, parts: { some: {} } }] : []),
        { webhooks: { some: { state: 'PENDING' as const, createdAt: { gt: since } } } },
      ],
    };
    const gone = await db.recording.findMany({
      where: { deletedAt: { not: null }, jobs: { none: isLeft } },
      take: recordingsAtOnce,
      select: { id: true },
    });
    for (const { id } of gone) await db.$transaction((transaction) => removeRowsOf(transaction, id));
  }

  return {
    /** Does what is due. Safe at any time, also twice at once. */
    async look(): Promise<void> {
      await endUnwanted();
      const left = await db.recording.findMany({
        where: { deletedAt: { not: null }, jobs: { some: { files: { some: { deletedAt: null, held: false } } } } },
        take: recordingsAtOnce,
        select: { id: true },
      });
      for (const { id } of left) await hideFilesOf(files, db, id);
      await freePorts(db);
      await removeRows();
    },
  };
}

/** Events stay: they tell what was, as long as others do. */
async function removeRowsOf(transaction: Transaction, recordingId: string): Promise<void> {
  const of = { job: { recordingId } };
  await transaction.webhookAttempt.deleteMany({ where: { delivery: of } });
  await transaction.webhookDelivery.deleteMany({ where: of });
  await transaction.jobWarning.deleteMany({ where: of });
  await transaction.jobTarget.deleteMany({ where: of });
  await transaction.jobStats.deleteMany({ where: of });
  await transaction.placement.deleteMany({ where: of });
  await transaction.part.deleteMany({ where: of });
  await transaction.file.deleteMany({ where: of });
  await transaction.job.deleteMany({ where: { recordingId } });
  await transaction.recording.deleteMany({ where: { id: recordingId } });
}
