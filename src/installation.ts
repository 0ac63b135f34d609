/** The identity of the database this process works on, and of the storage that belongs to it. */
import { v4 as uuid } from 'uuid';
import type { Database } from './db.js';

/** The epoch of the database: made once, by whoever comes first. */
export async function installationEpoch(db: Database): Promise<string> {
  await db.installation.createMany({ data: [{ id: 1, epoch: uuid() }], skipDuplicates: true });
  const { epoch } = await db.installation.findUniqueOrThrow({ where: { id: 1 } });
  return epoch;
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
