/** The live periods of rooms: when one begins, when it ends, and when something was last published in it. */
import { randomInt } from 'node:crypto';
import { v7 as uuid } from 'uuid';
import type { Database } from '../db.js';
import type { Prisma, Session } from '../generated/prisma/client.js';
import { type ChangeRoom, isPublishing, type LockedRoom } from './room-changes.js';
import { profilesOf, recordingSpecOf } from './room-input.js';

const playbackIdLength = 16;
const letters = '0123456789abcdefghijklmnopqrstuvwxyz';

/** 16 small letters and digits, 82 bits: nobody guesses one. */
const newPlaybackId = (): string =>
  Array.from({ length: playbackIdLength }, () => letters[randomInt(letters.length)]).join('');

export type LiveSessions = ReturnType<typeof createLiveSessions>;

/** `graceMs`: how long nobody may publish until the session is over. */
export function createLiveSessions(deps: { db: Database; change: ChangeRoom; graceMs: number }) {
  const { db, change, graceMs } = deps;

  const overAt = ({ lastSeenAt }: Session): Date => new Date(lastSeenAt.getTime() + graceMs);

  function isOver({ session, present, room, now }: LockedRoom): boolean {
    if (!session || present.some(isPublishing)) return false;
    // Nobody can come back to a deleted room.
    return room.deletedAt !== null || overAt(session) <= now;
  }

  async function end(locked: LockedRoom): Promise<void> {
    const { transaction, now } = locked;
    const session = locked.session as Session;
    // Whoever should have ended it then was not there.
    const endedAt = new Date(Math.min(overAt(session).getTime(), now.getTime()));
    await transaction.session.update({ where: { id: session.id }, data: { endedAt } });
    await transaction.sessionStats.updateMany({
      where: { sessionId: session.id },
      data: { ingestRate: 0, outgoingRate: 0, isHealthy: null, issues: [], updatedAt: now },
    });
    await locked.tell({ type: 'SessionEnded', sessionId: session.id });
    locked.session = null;
  }

  return {
    /** Somebody publishes: goes on with the room's session, or begins one. To be called before they count as publishing. */
    async enter(locked: LockedRoom): Promise<Session> {
      const { transaction, room, now } = locked;
      if (isOver(locked)) await end(locked);
      if (locked.session) {
        await this.see(locked);
        return locked.session;
      }
      const session = await transaction.session.create({
        data: {
          ...{ id: uuid(), projectId: room.projectId, roomId: room.id, playbackId: newPlaybackId() },
          record: room.record,
          profiles: profilesOf(room) as unknown as Prisma.InputJsonArray,
          recordingSpec: recordingSpecOf(room) as unknown as Prisma.InputJsonObject,
          ...{ createdAt: now, lastSeenAt: now },
        },
      });
      locked.session = session;
      await locked.tell({ type: 'SessionStarted', sessionId: session.id });
      return session;
    },

    /** Something is published in the room's session now, or was until now. */
    async see(locked: LockedRoom): Promise<void> {
      const { transaction, session, now } = locked;
      if (!session || session.lastSeenAt >= now) return;
      locked.session = await transaction.session.update({ where: { id: session.id }, data: { lastSeenAt: now } });
    },

    /** Rooms whose session is over, as it seems without their locks. */
    async overdue(): Promise<string[]> {
      const rows = await db.$queryRaw<{ room_id: string }[]>`
        SELECT session.room_id FROM session JOIN room ON room.id = session.room_id
         WHERE session.ended_at IS NULL
           AND (room.deleted_at IS NOT NULL OR session.last_seen_at <= now() - make_interval(secs => ${graceMs / 1_000}))
           AND NOT EXISTS (
             SELECT 1 FROM participant
              WHERE participant.room_id = room.id AND left_at IS NULL AND jsonb_array_length(tracks) > 0)`;
      return rows.map(({ room_id }) => room_id);
    },

    /** Ends the room's session if it is over; answers the room afterwards. */
    endIfOver: (roomId: string) =>
      change(roomId, async (locked) => {
        if (isOver(locked)) await end(locked);
      }),
  };
}
