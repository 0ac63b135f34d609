/** The identity of the database this process works on. */
import { v4 as uuid } from 'uuid';
import type { Database } from './db.js';

/** The epoch of the database: made once, by whoever comes first. */
export async function installationEpoch(db: Database): Promise<string> {
  await db.installation.createMany({ data: [{ id: 1, epoch: uuid() }], skipDuplicates: true });
  const { epoch } = await db.installation.findUniqueOrThrow({ where: { id: 1 } });
  return epoch;
}
