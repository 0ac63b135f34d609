/** Events as they are stored, and as they are published. */
import type { CommittedEvent } from './bus.js';

/** A row of `eventColumns`. */
export interface StoredEvent {
  id: string;
  xid: string;
  project_id: string;
  room_id: string | null;
  /** Null, with the number, of an event of a room itself, or of a schedule. */
  job_id: string | null;
  job_seq: number | null;
  payload: string;
  /** Milliseconds since 1970. */
  occurred_ms: number;
}

/** What to select of the table `event`. The payload as text: its length is what it counts for in bounded queues. */
export const eventColumns = `event.id::text, event.xid::text, event.project_id, event.room_id, event.job_id, event.job_seq,
  event.payload::text AS payload, (extract(epoch FROM event.occurred_at) * 1000)::float8 AS occurred_ms`;

export const committedEvent = (row: StoredEvent): CommittedEvent => {
  const event = {
    position: { xid: BigInt(row.xid), id: BigInt(row.id) },
    projectId: row.project_id,
    roomId: row.room_id,
    jobId: row.job_id,
    jobSequence: row.job_seq,
    payload: JSON.parse(row.payload),
    occurredAt: new Date(Math.round(row.occurred_ms)),
    bytes: row.payload.length,
  };
  // The table has either both of a job's or none.
  return event as CommittedEvent;
};
