/** The stream of one job: its state now, then every change in order, none twice, none missed, resumable from any cursor. */
import type { Database } from '../db.js';
import type { JobEventPayload, JobStreamItem } from '../jobs/events.js';
import { NotFoundError, ValidationError } from '../services/errors.js';
import { type CommittedEvent, type EventBus, jobTopic } from './bus.js';
import { formatCursor, type Position, parseCursor } from './position.js';

interface StoredEvent {
  id: string;
  xid: string;
  job_seq: number;
  payload: JobEventPayload;
  occurred_at: Date;
}

const backlogPage = 500;

/**
 * Follows a job. Without `after`, or with a cursor of another database, the first item is a snapshot; otherwise the
 * events after it. Does not end by itself: files can come and go after a job has ended. Access must have been checked.
 * Throws ValidationError for a malformed cursor, NotFoundError for an unknown job.
 */
export async function* followJob(
  deps: { db: Database; bus: EventBus; epoch: string },
  jobId: string,
  after: string | null,
  signal?: AbortSignal,
): AsyncGenerator<JobStreamItem, void, undefined> {
  const { db, bus, epoch } = deps;
  // Live first, then the backlog: what happens in between is in both, and told apart by its number.
  const live = bus.subscribe(jobTopic(jobId));
  const close = () => live.close();
  signal?.addEventListener('abort', close, { once: true });
  if (signal?.aborted) close();
  try {
    const item = (position: Position, sequence: number, occurredAt: Date) => ({
      jobId,
      cursor: formatCursor(epoch, position),
      sequence,
      occurredAt,
    });
    const fromStored = (row: StoredEvent): JobStreamItem => ({
      kind: 'event',
      ...item(positionOf(row), row.job_seq, row.occurred_at),
      payload: row.payload,
    });

    let sequence = await sequenceOfCursor(db, epoch, jobId, after);
    let last: JobStreamItem | undefined;
    if (sequence === null) {
      const row = await latestEvent(db, jobId);
      last = { kind: 'snapshot', ...item(positionOf(row), row.job_seq, row.occurred_at) };
      sequence = last.sequence;
      yield last;
    }
    for (;;) {
      const backlog: StoredEvent[] = await eventsAfter(db, jobId, sequence);
      for (const row of backlog) {
        last = fromStored(row);
        sequence = last.sequence;
        yield last;
      }
      if (backlog.length < backlogPage) break;
    }

    // Transaction order and a job's own order can differ by a neighbour: what comes early waits for its turn.
    const early = new Map<number, CommittedEvent>();
    for (;;) {
      const next = await live.next();
      if (next === null) return;
      if ('dropped' in next) {
        const row = last ?? fromStored(await latestEvent(db, jobId));
        const { cursor, occurredAt } = row;
        yield { kind: 'lagged', jobId, cursor, sequence, occurredAt, dropped: next.dropped };
        return;
      }
      if (next.jobSequence === null || next.jobSequence <= sequence) continue;
      early.set(next.jobSequence, next);
      for (let event = early.get(sequence + 1); event; event = early.get(sequence + 1)) {
        sequence++;
        early.delete(sequence);
        last = { kind: 'event', ...item(event.position, sequence, event.occurredAt), payload: event.payload };
        yield last;
      }
    }
  } finally {
    signal?.removeEventListener('abort', close);
    close();
  }
}

const positionOf = (row: StoredEvent): Position => ({ xid: BigInt(row.xid), id: BigInt(row.id) });

/** The cursor of one event of a job, by its number: where a stream goes on after the job as it was when read. */
export async function cursorOf(db: Database, epoch: string, jobId: string, sequence: number): Promise<string> {
  const [row] = await db.$queryRaw<Pick<StoredEvent, 'id' | 'xid'>[]>`
    SELECT id::text, xid::text FROM event WHERE job_id = ${jobId}::uuid AND job_seq = ${sequence}`;
  if (!row) throw new NotFoundError(`The job has no event ${sequence} any more.`);
  return formatCursor(epoch, { xid: BigInt(row.xid), id: BigInt(row.id) });
}

async function latestEvent(db: Database, jobId: string): Promise<StoredEvent> {
  const [row] = await db.$queryRaw<StoredEvent[]>`
    SELECT id::text, xid::text, job_seq, payload, occurred_at FROM event
     WHERE job_id = ${jobId}::uuid ORDER BY job_seq DESC LIMIT 1`;
  if (!row) throw new NotFoundError('There is no such job.');
  return row;
}

function eventsAfter(db: Database, jobId: string, sequence: number): Promise<StoredEvent[]> {
  return db.$queryRaw<StoredEvent[]>`
    SELECT id::text, xid::text, job_seq, payload, occurred_at FROM event
     WHERE job_id = ${jobId}::uuid AND job_seq > ${sequence} ORDER BY job_seq LIMIT ${backlogPage}`;
}

/** The number of the job's last event up to the cursor; null when a snapshot must be sent. */
async function sequenceOfCursor(
  db: Database,
  epoch: string,
  jobId: string,
  after: string | null,
): Promise<number | null> {
  if (after === null) return null;
  const position = parseCursor(epoch, after);
  if (position === null) throw new ValidationError([{ field: 'after', message: 'This is not a cursor of ours.' }]);
  if (position === 'foreign') return null;
  // A cursor of this very stream names its event, and thereby its number; one of another stream only a place in time.
  const [row] = await db.$queryRaw<{ job_seq: number | null }[]>`
    SELECT coalesce(
      (SELECT job_seq FROM event WHERE id = ${position.id} AND job_id = ${jobId}::uuid),
      (SELECT max(job_seq) FROM event
        WHERE job_id = ${jobId}::uuid AND (xid, id) <= (${position.xid.toString()}::xid8, ${position.id}::bigint))
    ) AS job_seq`;
  return row?.job_seq ?? null;
}
