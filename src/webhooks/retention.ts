/** Lets the log of callbacks go when nobody looks at it any more. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../db.js';

/** Long enough for a receiver that was mended after its people's holidays to have what it missed sent again. */
export const retentionMs = 30 * 24 * 3_600_000;
// A few hundred milliseconds of the database; once a minute that is more than half a million a day.
const removedAtOnce = 500;

/**
 * Removes some of the deliveries that ended 30 days ago or earlier, the oldest first, with their attempts. Answers how
 * many. One that is pending stays, and so does one that was sent again since. Safe in several processes.
 */
export async function removeOldDeliveries(db: Database): Promise<number> {
  const before = new Date(Date.now() - retentionMs);
  // Ids begin with the time they were made at, and are indexed.
  const beforeId = uuid({ msecs: before.getTime(), random: new Uint8Array(16) });
  return db.$transaction(async (transaction) => {
    const old = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM webhook_delivery AS delivery
       WHERE id < ${beforeId}::uuid AND state <> 'PENDING'
         AND NOT EXISTS (SELECT 1 FROM webhook_attempt WHERE delivery_id = delivery.id AND at >= ${before})
       ORDER BY id LIMIT ${removedAtOnce} FOR UPDATE SKIP LOCKED`;
    const ids = old.map(({ id }) => id);
    await transaction.webhookAttempt.deleteMany({ where: { deliveryId: { in: ids } } });
    const { count } = await transaction.webhookDelivery.deleteMany({ where: { id: { in: ids } } });
    return count;
  });
}
