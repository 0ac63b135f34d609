/** The identity of the database this process works on, and of the storage that belongs to it. */
import type { Logger } from 'pino';
import { v4 as uuid } from 'uuid';
import type { Database } from './db.js';

/** A million events take about half a minute. */
const adoptionLimitMs = 600_000;

/** The epoch of the database: made once, by whoever comes first. */
export async function installationEpoch(db: Database): Promise<string> {
  await db.installation.createMany({ data: [{ id: 1, epoch: uuid() }], skipDuplicates: true });
  const { epoch } = await db.installation.findUniqueOrThrow({ where: { id: 1 } });
  return epoch;
}

/**
 * Makes events of a database that was restored from a dump into another server readable there. They are numbered by the
 * transactions of the old one, which the new one has yet to count up to: until then they would wait for transactions that
 * never were. They get the number of the oldest one there can be, which keeps their order within each job, and the database a
 * new epoch, so that cursors of the old one are answered with a snapshot. Does nothing otherwise. Before `installationEpoch`.
 */
export async function adoptRestoredEvents(db: Database, log: Logger): Promise<void> {
  await db.$transaction(
    async (transaction) => {
      // One process does it; the others wait for it, and find nothing to do.
      const [place] = await transaction.$queryRaw<{ is_foreign: boolean }[]>`
        SELECT events_removed_xid::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot())
            OR EXISTS (SELECT 1 FROM event WHERE event.xid >= pg_snapshot_xmax(pg_current_snapshot())) AS is_foreign
          FROM installation FOR UPDATE`;
      if (!place?.is_foreign) return;
      const events = await transaction.$executeRaw`UPDATE event SET xid = '3'`;
      await transaction.installation.updateMany({
        data: { epoch: uuid(), eventsRemovedXid: 0n, eventsRemovedId: 0n },
      });
      log.warn({ events }, 'the database was restored from a dump: its events were numbered anew');
    },
    { timeout: adoptionLimitMs },
  );
}

/** Says which storage the API serves files from (storageIdentity): recorders that would put theirs elsewhere get no jobs. */
export async function announceStorage(db: Database, storageId: string): Promise<void> {
  await db.installation.upsert({
    where: { id: 1 },
    create: { id: 1, epoch: uuid(), storageId },
    update: { storageId },
  });
}

/** What `announceStorage` said last; null before. */
export async function announcedStorage(db: Database): Promise<string | null> {
  const row = await db.installation.findUnique({ where: { id: 1 }, select: { storageId: true } });
  return row?.storageId ?? null;
}
