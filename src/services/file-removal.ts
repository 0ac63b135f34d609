/**
 * How a file goes, in steps that can be cut short anywhere: nobody gets it any more, which is told; then the storage lets it
 * go; then that is written down. The row stays, so that whoever has its address is told that it was there.
 */
import type { Database } from '../db.js';
import { eventsChannel, type Wake } from '../events/outbox.js';
import type { Prisma } from '../generated/prisma/client.js';
import { type Storage, StorageUnavailableError } from '../storage/storage.js';
import { lockJob, tell } from './job-events.js';

export type RemovalCause = 'EXPIRED' | 'DELETED';

/** Told in one transaction: for as long nobody is told anything else. */
const hiddenAtOnce = 100;
const clearedAtOnce = 500;

/** What one transaction each is for: a job's lock orders what is told of it. */
export function byJob<Row extends { jobId: string }>(rows: readonly Row[]): Map<string, Row[]> {
  const jobs = new Map<string, Row[]>();
  for (const row of rows) jobs.set(row.jobId, [...(jobs.get(row.jobId) ?? []), row]);
  return jobs;
}

export type FileRemoval = ReturnType<typeof createFileRemoval>;

export function createFileRemoval(deps: { db: Database; wake: Wake; storage: Pick<Storage, 'remove'> }) {
  const { db, wake, storage } = deps;

  async function hideOfJob(jobId: string, ids: string[], cause: RemovalCause): Promise<number> {
    return db.$transaction(async (transaction) => {
      await lockJob(transaction, jobId);
      const now = new Date();
      // Asked again under the lock: it may have been held, or given more time, since it was found.
      const due: Prisma.FileWhereInput = cause === 'EXPIRED' ? { expiresAt: { lte: now } } : {};
      const hidden = await transaction.file.updateManyAndReturn({
        where: { id: { in: ids }, jobId, deletedAt: null, held: false, ...due },
        data: { deletedAt: now },
        select: { id: true, name: true },
      });
      for (const { id: fileId, name } of hidden)
        await tell(transaction, { jobId }, { type: 'JobFileRemoved', fileId, name, cause });
      return hidden.length;
    });
  }

  /** What is kept for several rows goes with the last of them. */
  async function clearOne({ id, storageKey }: { id: string; storageKey: string }): Promise<void> {
    const others = await db.file.count({ where: { storageKey, id: { not: id }, deletedAt: null } });
    if (others === 0) await storage.remove(storageKey);
    await db.file.updateMany({ where: { id, removedAt: null }, data: { removedAt: new Date() } });
  }

  return {
    /** From now on nobody gets these files, but for those that are held. Answers how many that became. Idempotent. */
    async hide(files: readonly { id: string; jobId: string }[], cause: RemovalCause): Promise<number> {
      let hidden = 0;
      for (const [jobId, ofJob] of byJob(files)) {
        const ids = ofJob.map(({ id }) => id);
        for (let from = 0; from < ids.length; from += hiddenAtOnce)
          hidden += await hideOfJob(jobId, ids.slice(from, from + hiddenAtOnce), cause);
      }
      wake(eventsChannel);
      return hidden;
    },

    /**
     * Has the storage let go of what nobody gets any more, some of it, those of `jobIds` if given. Throws what the storage
     * throws, after everything else; what is left is done by the next call.
     */
    async clear(jobIds?: readonly string[]): Promise<void> {
      const files = await db.file.findMany({
        where: {
          ...{ removedAt: null, deletedAt: { not: null } },
          ...(jobIds ? { jobId: { in: [...jobIds] } } : {}),
        },
        orderBy: { deletedAt: 'asc' },
        take: clearedAtOnce,
        select: { id: true, storageKey: true },
      });
      let failure: unknown;
      for (const file of files) {
        try {
          await clearOne(file);
        } catch (error) {
          failure = error;
          // The others would wait as long for it.
          if (error instanceof StorageUnavailableError) break;
        }
      }
      if (failure) throw failure;
    },
  };
}
