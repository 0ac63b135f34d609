/** Lets events go that are too old to be resumed from. */
import type { Database } from '../db.js';

/** Some 20 ms on 2 busy cores, for which no newer event of anybody is delivered: readers wait for open transactions. */
const passedAtOnce = 1_000;

interface PassedEvent {
  xid: string;
  id: string;
  job_id: string;
  job_seq: number;
  is_old: boolean;
}

/**
 * Removes the events that are older than that, in the order of commits: up to the first one that is younger, or that may yet
 * get another before it. The place is written down with each batch, so that whoever resumes from before it is given a
 * snapshot. An event stays until the next one of its job is as old: what a job has come to is read from its latest.
 * Answers how many were removed. Safe in several processes: one of them does it, the others have nothing to do meanwhile.
 */
export async function removeOldEvents(db: Database, olderThanMs: number, stopping?: AbortSignal): Promise<number> {
  let all = 0;
  for (;;) {
    const { passed, removed } = await passSome(db, olderThanMs);
    all += removed;
    if (passed < passedAtOnce || stopping?.aborted) return all;
  }
}

async function passSome(db: Database, olderThanMs: number): Promise<{ passed: number; removed: number }> {
  return db.$transaction(async (transaction) => {
    const [place] = await transaction.$queryRaw<{ xid: bigint; id: bigint }[]>`
      SELECT events_removed_xid AS xid, events_removed_id AS id FROM installation FOR UPDATE SKIP LOCKED`;
    if (!place) return { passed: 0, removed: 0 };
    // The time is the database's, as that of the events is.
    const next = await transaction.$queryRaw<PassedEvent[]>`
      SELECT event.xid::text, event.id::text, job_id, job_seq,
             occurred_at < now() - ${olderThanMs} * interval '1 millisecond' AS is_old
        FROM event
       WHERE (event.xid, event.id) > (${place.xid.toString()}::xid8, ${place.id})
         AND event.xid < pg_snapshot_xmin(pg_current_snapshot())
       ORDER BY event.xid, event.id LIMIT ${passedAtOnce}`;
    const firstYoung = next.findIndex((event) => !event.is_old);
    const old = firstYoung < 0 ? next : next.slice(0, firstYoung);
    const last = old.at(-1);
    if (!last) return { passed: 0, removed: 0 };
    // Each takes the one before it along: numbers have no gaps, and in the order of commits those of a job rise.
    const removed = await transaction.$executeRaw`
      DELETE FROM event USING unnest(${old.map(({ job_id }) => job_id)}::uuid[], ${old.map(({ job_seq }) => job_seq)}::int[])
                           AS next(job_id, job_seq)
       WHERE event.job_id = next.job_id AND event.job_seq = next.job_seq - 1`;
    await transaction.installation.updateMany({
      data: { eventsRemovedXid: BigInt(last.xid), eventsRemovedId: BigInt(last.id) },
    });
    return { passed: old.length, removed };
  });
}
