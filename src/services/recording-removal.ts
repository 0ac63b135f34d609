/** How a recording goes: it is hidden at once, its run ends, its files go, and at last its rows. Whatever restarts in between. */
import type { Database, Transaction } from '../db.js';
import { liveStates } from '../jobs/states.js';
import { HeldError, NotFoundError } from './errors.js';
import type { FileRemoval } from './file-removal.js';
import { liveRuns, lockRecording, noSuchRecording } from './recording-runs.js';
import { type ClientRequest, keepResult } from './requests.js';

const filesAtOnce = 500;

export type RecordingRemoval = ReturnType<typeof createRecordingRemoval>;

export function createRecordingRemoval({ db, files }: { db: Database; files: FileRemoval }) {
  return {
    /**
     * Nobody sees the recording any more, and it is not to be running. Answers its runs that go on. Throws NotFoundError,
     * HeldError.
     */
    hide: (id: string, request: ClientRequest | null): Promise<{ id: string }[]> =>
      db.$transaction(async (transaction) => {
        if (!(await lockRecording(transaction, id))) throw new NotFoundError(noSuchRecording);
        const held = await transaction.file.count({ where: { held: true, deletedAt: null, job: { recordingId: id } } });
        if (held > 0)
          throw new HeldError(
            `${held === 1 ? 'A file' : `${held} files`} of the recording ${held === 1 ? 'is' : 'are'} held. Let them go with setHold first.`,
          );
        if (request) await keepResult(transaction, request, { resultId: id, sequence: 0 });
        await transaction.recording.update({ where: { id }, data: { deletedAt: new Date(), active: false } });
        await freePorts(transaction, id);
        return liveRuns(transaction, id);
      }),

    /** Hides the first of the files of a recording, and has the storage let them go as far as it does so now: the upkeep does the rest. */
    async removeFilesOf(recordingId: string): Promise<void> {
      await hideSomeOf(files, db, recordingId);
      const jobs = await db.job.findMany({ where: { recordingId }, select: { id: true } });
      // It may be away: the sweep goes on with it.
      await files.clear(jobs.map(({ id }) => id)).catch(() => {});
    },
  };
}

/** Ports are free once no run listens at them any more. */
export async function freePorts(transaction: Transaction, recordingId?: string): Promise<void> {
  await transaction.recording.updateMany({
    where: {
      ...(recordingId ? { id: recordingId } : {}),
      ...{ deletedAt: { not: null }, listenPort: { not: null } },
      jobs: { none: { state: { in: [...liveStates, 'STOPPING'] } } },
    },
    data: { listenPort: null },
  });
}

/** From now on nobody gets any file of the recording. */
export async function hideFilesOf(files: FileRemoval, db: Database, recordingId: string): Promise<void> {
  while ((await hideSomeOf(files, db, recordingId)) === filesAtOnce);
}

async function hideSomeOf(files: FileRemoval, db: Database, recordingId: string): Promise<number> {
  const some = await db.file.findMany({
    where: { deletedAt: null, held: false, job: { recordingId } },
    take: filesAtOnce,
    select: { id: true, jobId: true },
  });
  await files.hide(some, 'DELETED');
  return some.length;
}
