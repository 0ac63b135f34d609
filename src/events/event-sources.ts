/** The streams of events: of a job, of a room, of a project. Each begins with the state now, or goes on from a cursor. */
import { batched } from '../batched.js';
import type { Database } from '../db.js';
import type { EventType, StreamItem, StreamSubject } from '../jobs/events.js';
import type { JobState } from '../jobs/states.js';
import { limitedTo } from '../limited.js';
import { NotFoundError, ValidationError } from '../services/errors.js';
import { type CommittedEvent, jobTopic, projectTopic, roomTopic } from './bus.js';
import { formatCursor, type Position, parseCursor } from './position.js';
import type { EventSource } from './source.js';
import { committedEvent, eventColumns, type StoredEvent } from './stored.js';

const pageSize = 500;

interface LatestEvent {
  job_id: string;
  xid: string;
  id: string;
  job_seq: number;
  occurred_at: Date;
}

/** Reads of the table at once: a thousand clients that come back with old cursors must leave connections for others. */
const readsAtOnce = 4;

/** Which events of a project are told: those that every given condition holds for. */
export interface EventConditions {
  types?: readonly EventType[] | null;
  /** Changes into one of these states, and no other event. */
  states?: readonly JobState[] | null;
  jobIds?: readonly string[] | null;
  roomIds?: readonly string[] | null;
}

function includesOf({ types, states, jobIds, roomIds }: EventConditions): (event: CommittedEvent) => boolean {
  const among = <Value>(values: readonly Value[], of: (event: CommittedEvent) => Value | null) => {
    const wanted = new Set<Value | null>(values);
    return (event: CommittedEvent) => wanted.has(of(event));
  };
  const conditions = [
    types && among(types, ({ payload }) => payload.type),
    states && among(states, ({ payload }) => (payload.type === 'JobStateChanged' ? payload.state : null)),
    jobIds && among(jobIds, ({ jobId }) => jobId),
    roomIds && among(roomIds, ({ roomId }) => roomId),
  ].filter((condition) => condition != null);
  return (event) => conditions.every((holds) => holds(event));
}

export type EventSources = ReturnType<typeof createEventSources>;

/** `epoch` names the database (installation.epoch). Access must have been checked by who asks for a source. */
export function createEventSources({ db, epoch }: { db: Database; epoch: string }) {
  const limited = limitedTo(readsAtOnce);

  /** Where a subscriber goes on; null where it is given a snapshot. Throws ValidationError. */
  function placeOf(after: string | null): Position | null {
    if (after === null) return null;
    const position = parseCursor(epoch, after);
    if (position === null) throw new ValidationError([{ field: 'after', message: 'This is not a cursor of ours.' }]);
    return position === 'foreign' ? null : position;
  }

  function itemOf(event: CommittedEvent): StreamItem {
    const { position, occurredAt } = event;
    const item = { kind: 'event', cursor: formatCursor(epoch, position), occurredAt } as const;
    if (event.jobId === null) {
      const ofNoJob = { ...item, sequence: 0, jobId: null } as const;
      if (event.roomId === null) return { ...ofNoJob, roomId: null, payload: event.payload };
      return { ...ofNoJob, roomId: event.roomId, payload: event.payload };
    }
    const { jobId, jobSequence: sequence, roomId, payload } = event;
    return { ...item, sequence, jobId, roomId, payload };
  }

  function sourceOf(options: {
    topic: string;
    /** Of the column named here, all events are the topic's. */
    column: 'job_id' | 'room_id' | 'project_id';
    id: string;
    subject: StreamSubject;
    after: string | null;
    conditions?: EventConditions;
    snapshot: EventSource['snapshot'];
  }): EventSource {
    const { topic, column, id, subject, after, conditions = {}, snapshot } = options;
    return {
      kind: 'events',
      ...{ topic, itemOf, snapshot },
      includes: includesOf(conditions),
      after: placeOf(after),
      lagged(last, dropped) {
        const place =
          'cursor' in last ? last : { cursor: formatCursor(epoch, last), sequence: 0, occurredAt: new Date() };
        const { cursor, sequence, occurredAt } = place;
        return { kind: 'lagged', cursor, sequence, occurredAt, subject, dropped };
      },
      read: limited(async (from: Position) => {
        const { types, states, jobIds, roomIds } = conditions;
        // A cursor beyond every transaction is of a database that was set back since: what it stands for never happened.
        const rows = await db.$queryRawUnsafe<(StoredEvent & { gone: boolean })[]>(
          `SELECT range.gone, settled.*
             FROM (SELECT (events_removed_xid, events_removed_id) > ($1::bigint, $2::bigint)
                       OR $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot()) AS gone FROM installation) AS range
             LEFT JOIN LATERAL (
               SELECT ${eventColumns} FROM event
                WHERE event.${column} = $3::uuid AND (event.xid, event.id) > ($1::text::xid8, $2::bigint)
                  AND ($4::text[] IS NULL OR event.type = ANY ($4))
                  AND ($5::text[] IS NULL OR event.type = 'JobStateChanged' AND event.payload ->> 'state' = ANY ($5))
                  AND ($6::uuid[] IS NULL OR event.job_id = ANY ($6))
                  AND ($7::uuid[] IS NULL OR event.room_id = ANY ($7))
                  AND event.xid < pg_snapshot_xmin(pg_current_snapshot()) AND NOT range.gone
                ORDER BY event.xid, event.id LIMIT ${pageSize}) AS settled ON true`,
          from.xid.toString(),
          from.id.toString(),
          id,
          ...[types, states, jobIds, roomIds].map((values) => values ?? null),
        );
        if (rows[0]?.gone) return null;
        return rows.filter((row) => row.id !== null).map(committedEvent);
      }),
    };
  }

  /**
   * The latest event that is settled: everything up to it is in what is read of rows from now on. Not the fence, since a
   * database that crashed gives numbers of transactions anew which left nothing: events would come before such a place.
   */
  async function settledNow(): Promise<{ position: Position; at: Date }> {
    const [row] = await db.$queryRaw<{ xid: string; id: string; at: Date }[]>`
      SELECT coalesce(latest.xid::text, events_removed_xid::text) AS xid, coalesce(latest.id, events_removed_id)::text AS id,
             now() AS at
        FROM installation
        LEFT JOIN LATERAL (
          SELECT event.xid, event.id FROM event WHERE event.xid < pg_snapshot_xmin(pg_current_snapshot())
           ORDER BY event.xid DESC, event.id DESC LIMIT 1) AS latest ON true`;
    const { xid, id, at } = row as { xid: string; id: string; at: Date };
    return { position: { xid: BigInt(xid), id: BigInt(id) }, at };
  }

  async function snapshotOf(subject: StreamSubject): ReturnType<EventSource['snapshot']> {
    const { position, at } = await settledNow();
    const cursor = formatCursor(epoch, position);
    return { position, item: { kind: 'snapshot', cursor, sequence: 0, occurredAt: at, subject } };
  }

  const latestOf = batched(async (jobIds): Promise<ReadonlyMap<string, LatestEvent>> => {
    const rows = await db.$queryRaw<LatestEvent[]>`
      SELECT latest.* FROM unnest(${jobIds}::uuid[]) AS asked(job_id)
       CROSS JOIN LATERAL (
         SELECT job_id, xid::text, id::text, job_seq, occurred_at FROM event
          WHERE event.job_id = asked.job_id ORDER BY job_seq DESC LIMIT 1) AS latest`;
    return new Map(rows.map((row) => [row.job_id, row]));
  });

  async function jobSnapshot(jobId: string): ReturnType<EventSource['snapshot']> {
    const row = await latestOf(jobId);
    if (!row) throw new NotFoundError('There is no such job.');
    const position = { xid: BigInt(row.xid), id: BigInt(row.id) };
    const subject = { of: 'job' as const, jobId };
    const [cursor, sequence, occurredAt] = [formatCursor(epoch, position), row.job_seq, row.occurred_at];
    return { position, item: { kind: 'snapshot', cursor, sequence, occurredAt, subject } };
  }

  /** Of events named by job and number. A page of jobs asks for the cursors of all of them at once. */
  const positionOf = batched(async (names): Promise<ReadonlyMap<string, Position>> => {
    const [jobIds, sequences] = [0, 1].map((part) => names.map((name) => name.split(':')[part]));
    const rows = await db.$queryRaw<{ name: string; xid: string; id: string }[]>`
      SELECT job_id || ':' || job_seq AS name, xid::text, id::text
        FROM event JOIN unnest(${jobIds}::uuid[], ${sequences}::int[]) AS named(job_id, job_seq) USING (job_id, job_seq)`;
    return new Map(rows.map(({ name, xid, id }) => [name, { xid: BigInt(xid), id: BigInt(id) }]));
  });

  return {
    /** Everything that happens to a job. Throws ValidationError for a malformed cursor. */
    job: (jobId: string, after: string | null): EventSource =>
      sourceOf({
        ...{ topic: jobTopic(jobId), column: 'job_id', id: jobId, subject: { of: 'job', jobId }, after },
        snapshot: () => jobSnapshot(jobId),
      }),

    /** Everything that happens in a room, and to the jobs of it, and fulfils the conditions. Throws ValidationError for a malformed cursor. */
    room(roomId: string, after: string | null, conditions: Pick<EventConditions, 'types'> = {}): EventSource {
      const subject: StreamSubject = { of: 'room', roomId };
      return sourceOf({
        ...{ topic: roomTopic(roomId), column: 'room_id', id: roomId, subject, after, conditions },
        snapshot: () => snapshotOf(subject),
      });
    },

    /** Everything that happens in a project and fulfils the conditions. Throws ValidationError for a malformed cursor. */
    project(projectId: string, after: string | null, conditions: EventConditions): EventSource {
      const subject: StreamSubject = { of: 'project', projectId };
      return sourceOf({
        ...{ topic: projectTopic(projectId), column: 'project_id', id: projectId, subject, after, conditions },
        snapshot: () => snapshotOf(subject),
      });
    },

    /** The cursor of one event of a job, by its number: where a stream goes on after the job as it was when read. */
    async cursorOf(jobId: string, sequence: number): Promise<string> {
      const position = await positionOf(`${jobId}:${sequence}`);
      if (!position) throw new NotFoundError(`The job has no event ${sequence} any more.`);
      return formatCursor(epoch, position);
    },
  };
}
