/** Files whose time is over: it is said before, they go, and that is said too. All of it follows from rows. */
import type { Database, Transaction } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import { Prisma } from '../generated/prisma/client.js';
import { byJob, type FileRemoval } from './file-removal.js';
import { lockJob, tell } from './job-events.js';

/** When files of a recording go, from the rows `recording` and `file`. */
const expiry = Prisma.sql`
  CASE WHEN recording.delete_after_days = 0 THEN NULL
       ELSE file.created_at + recording.delete_after_days * interval '24 hours' END`;

/**
 * Makes files of recordings expire as their recordings say now, all or those of one: also such as were delivered at the moment
 * at which that was changed. What was said of another time is to be said again.
 */
export async function alignExpiry(database: Transaction, recordingId?: string): Promise<void> {
  await database.$executeRaw`
    UPDATE file SET expires_at = ${expiry}, reminded_at = NULL
      FROM job JOIN recording ON recording.id = job.recording_id
     WHERE job.id = file.job_id AND file.deleted_at IS NULL AND file.expires_at IS DISTINCT FROM ${expiry}
       ${recordingId ? Prisma.sql`AND recording.id = ${recordingId}::uuid` : Prisma.empty}`;
}

/** Looked at in one turn; the next turn follows until there are fewer. */
const filesAtOnce = 500;

export interface Retention {
  /** Does what is due. Safe at any time, also twice at once. Throws what the storage throws, after everything else. */
  run(): Promise<void>;
}

/** `reminderMs`: so long before its end it is said that a file will go. */
export function createRetention(deps: {
  db: Database;
  wake: Wake;
  removal: FileRemoval;
  reminderMs: number;
}): Retention {
  const { db, wake, removal, reminderMs } = deps;

  const find = (where: Prisma.FileWhereInput) =>
    db.file.findMany({
      where: { deletedAt: null, held: false, ...where },
      orderBy: { expiresAt: 'asc' },
      take: filesAtOnce,
      select: { id: true, jobId: true },
    });

  /** One that is over already goes without having been announced. */
  const dueToSay = (now: Date): Prisma.FileWhereInput => ({
    remindedAt: null,
    expiresAt: { gt: now, lte: new Date(now.getTime() + reminderMs) },
  });

  async function remind(): Promise<void> {
    for (;;) {
      const due = await find(dueToSay(new Date()));
      for (const [jobId, files] of byJob(due)) {
        await db.$transaction(async (transaction) => {
          await lockJob(transaction, jobId);
          const now = new Date();
          const reminded = await transaction.file.updateManyAndReturn({
            where: { id: { in: files.map(({ id }) => id) }, deletedAt: null, held: false, ...dueToSay(now) },
            data: { remindedAt: now },
            select: { id: true, name: true, expiresAt: true },
          });
          for (const { id: fileId, name, expiresAt } of reminded) {
            const at = (expiresAt as Date).toISOString();
            await tell(transaction, { jobId }, { type: 'JobFileExpiring', fileId, name, expiresAt: at });
          }
        });
      }
      if (due.length > 0) wake(eventsChannel);
      if (due.length < filesAtOnce) return;
    }
  }

  async function expire(): Promise<void> {
    for (;;) {
      const due = await find({ expiresAt: { lte: new Date() } });
      await removal.hide(due, 'EXPIRED');
      if (due.length < filesAtOnce) return;
    }
  }

  return {
    async run() {
      await alignExpiry(db);
      await expire();
      await remind();
      await removal.clear();
    },
  };
}
