/** Writing to the outbox: the event of a change goes into the transaction of the change, the wake-up after its commit. */
import type { Database, Transaction } from '../db.js';
import type { Room } from '../generated/prisma/client.js';
import type { JobEventPayload } from '../jobs/events.js';
import type { RoomEventPayload } from '../rooms/events.js';
import type { ScheduleEventPayload } from '../schedules/events.js';
import { appendDelivery, type CallbackJob } from '../webhooks/append.js';

/** NOTIFY channels. They carry no contents: what they announce is read from the tables. */
export const eventsChannel = 'tapedeck_events';
export const statsChannel = 'tapedeck_stats';
export const placementChannel = 'tapedeck_placement';
export const keysChannel = 'tapedeck_keys';
export const schedulesChannel = 'tapedeck_schedules';

/** The job row an event belongs to, after its `eventSequence` was raised in the same transaction. */
export interface EventJob extends CallbackJob {
  roomId: string | null;
  sessionId: string | null;
}

/**
 * Writes one event of a job, and what is to be posted of it to the job's callback URL. The job's row must have been updated
 * first in this transaction: its lock makes the numbers of a job gapless and their order the order of commits.
 */
export async function appendJobEvent(transaction: Transaction, job: EventJob, payload: JobEventPayload): Promise<void> {
  const { id, projectId, roomId, sessionId, eventSequence } = job;
  // A transaction that waited for the job's lock can have a smaller number than the one it waited for. The event before
  // lifts it, so that one order, (xid, id), is right for every stream; readers stay behind both transactions anyway.
  const [row] = await transaction.$queryRaw<{ occurred_at: Date }[]>`
    INSERT INTO event (xid, project_id, room_id, session_id, job_id, job_seq, type, payload)
    VALUES (
      greatest(pg_current_xact_id(),
        (SELECT xid FROM event WHERE job_id = ${id}::uuid AND job_seq = ${eventSequence - 1})),
      ${projectId}::uuid, ${roomId}::uuid, ${sessionId}::uuid, ${id}::uuid, ${eventSequence}, ${payload.type},
      ${JSON.stringify(payload)}::jsonb)
    RETURNING occurred_at`;
  const { occurred_at: occurredAt } = row as { occurred_at: Date };
  if (payload.type === 'JobStateChanged') await appendDelivery(transaction, job, { ...payload, occurredAt });
}

/**
 * Writes one event of a room. The room's row must have been locked first in this transaction: that makes their order the
 * order of commits, as the job's row does for its own.
 */
export async function appendRoomEvent(
  transaction: Transaction,
  room: { projectId: string; roomId: string; sessionId: string | null },
  payload: RoomEventPayload,
): Promise<void> {
  const { projectId, roomId, sessionId } = room;
  await transaction.$executeRaw`
    INSERT INTO event (xid, project_id, room_id, session_id, type, payload)
    VALUES (
      greatest(pg_current_xact_id(), (
        SELECT xid FROM event WHERE room_id = ${roomId}::uuid AND job_id IS NULL ORDER BY xid DESC, id DESC LIMIT 1)),
      ${projectId}::uuid, ${roomId}::uuid, ${sessionId}::uuid, ${payload.type}, ${JSON.stringify(payload)}::jsonb)`;
}

/** Writes one event of a schedule, whose row must have been locked first in this transaction. */
export async function appendScheduleEvent(
  transaction: Transaction,
  projectId: string,
  payload: ScheduleEventPayload,
): Promise<void> {
  await transaction.$executeRaw`
    INSERT INTO event (project_id, type, payload)
    VALUES (${projectId}::uuid, ${payload.type}, ${JSON.stringify(payload)}::jsonb)`;
}

/** Locks a room until the end of the transaction, and answers it; null when there is none. */
export async function lockRoom(transaction: Transaction, roomId: string): Promise<Room | null> {
  await transaction.$queryRaw`SELECT id FROM room WHERE id = ${roomId}::uuid FOR UPDATE`;
  return transaction.room.findUnique({ where: { id: roomId } });
}

/** Tells listeners that there is something to read. */
export type Wake = (channel: string) => void;

/** No two NOTIFYs of a channel are sent in a shorter time. */
const wakeIntervalMs = 5;

/**
 * A waker that sends the first NOTIFY of a channel at once and then at most one every 5 ms, outside any transaction: inside
 * one, NOTIFY takes a cluster-wide lock at commit and cut throughput to a third. A lost wake-up only delays: tailers also poll.
 */
export function createWake(database: Database): Wake {
  const resting = new Map<string, { again: boolean }>();

  function notify(channel: string): void {
    const rest = { again: false };
    resting.set(channel, rest);
    database.$executeRaw`SELECT pg_notify(${channel}, '')`.catch(() => {});
    setTimeout(() => {
      resting.delete(channel);
      if (rest.again) notify(channel);
    }, wakeIntervalMs);
  }

  return (channel) => {
    const rest = resting.get(channel);
    if (rest) rest.again = true;
    else notify(channel);
  };
}
