/** Changing who is in a room, and what is live in it: one transaction under the room's lock, with the events that tell of it. */
import type { Database, Transaction } from '../db.js';
import { appendRoomEvent, eventsChannel, lockRoom, type Wake } from '../events/outbox.js';
import type { Participant as ParticipantRow, Room, Session } from '../generated/prisma/client.js';
import type { ParticipantTrack, RoomEventPayload } from '../rooms/events.js';

export type Participant = Omit<ParticipantRow, 'tracks'> & { tracks: ParticipantTrack[] };

/** A room as the database has it. */
export interface RoomNow {
  roomId: string;
  /** The one that is open; null while nothing is live. */
  session: Session | null;
  /** Who is there, first come first. */
  present: Participant[];
}

/** A room that nobody else changes until the transaction is over. */
export interface LockedRoom extends RoomNow {
  transaction: Transaction;
  room: Room;
  /** By the clock of the database. */
  now: Date;
  /** Writes an event of the room as it is by then. */
  tell(payload: RoomEventPayload): Promise<void>;
}

/** The writers are few and a busy machine is slow: by default a transaction must begin in 2 s and be over in 5. */
const patience = { maxWait: 10_000, timeout: 10_000 };

/** What is in a room, without its lock; null when there is no such room. */
export async function readRoom(db: Transaction, roomId: string): Promise<RoomNow | null> {
  const [session, rows] = await Promise.all([
    db.session.findFirst({ where: { roomId, endedAt: null } }),
    db.participant.findMany({ where: { roomId, leftAt: null }, orderBy: [{ joinedAt: 'asc' }, { id: 'asc' }] }),
  ]);
  return { roomId, session, present: rows.map(participantOf) };
}

export const participantOf = (row: ParticipantRow): Participant => ({
  ...row,
  tracks: row.tracks as unknown as ParticipantTrack[],
});

export const isPublishing = ({ tracks }: Participant): boolean => tracks.length > 0;

/** Answers how to change rooms: `change` gets the locked room and keeps it up to date; the answer is the room afterwards, null where there is none. */
export function createRoomChanges({ db, wake }: { db: Database; wake: Wake }) {
  return async (roomId: string, change: (room: LockedRoom) => Promise<void>): Promise<RoomNow | null> => {
    let told = false;
    const changed = await db.$transaction(async (transaction) => {
      const room = await lockRoom(transaction, roomId);
      if (!room) return null;
      const [clock] = await transaction.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
      const locked: LockedRoom = {
        ...((await readRoom(transaction, roomId)) as RoomNow),
        ...{ transaction, room, now: (clock as { now: Date }).now },
        async tell(payload) {
          told = true;
          const { projectId } = room;
          await appendRoomEvent(transaction, { projectId, roomId, sessionId: locked.session?.id ?? null }, payload);
        },
      };
      await change(locked);
      return { roomId, session: locked.session, present: locked.present };
    }, patience);
    if (told) wake(eventsChannel);
    return changed;
  };
}
export type ChangeRoom = ReturnType<typeof createRoomChanges>;
