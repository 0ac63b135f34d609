/** Whether the holder of a good room token may still come in: a room can be deleted, and its people put out of it. */
import { batched } from '../batched.js';
import type { Database } from '../db.js';
import type { IssuedClaims } from './room-tokens.js';

/** `deleted`: there is no such room, or no more. `removed`: who it was made for was put out of the room since. */
export type Admission = 'admitted' | 'deleted' | 'removed';

type Asked = Pick<IssuedClaims, 'roomId' | 'projectId' | 'identity' | 'issuedAt'>;

export interface RoomAdmissions {
  /** Asks the database each time; what is asked at once shares two queries. */
  find(asked: Asked): Promise<Admission>;
}

export function createRoomAdmissions(db: Database): RoomAdmissions {
  const projectOf = batched(async (roomIds) => {
    const rooms = await db.room.findMany({
      where: { id: { in: roomIds }, deletedAt: null },
      select: { id: true, projectId: true },
    });
    return new Map(rooms.map(({ id, projectId }) => [id, projectId]));
  });

  /** When they were last put out, by `<room>/<identity>`. */
  const removalOf = batched(async (names) => {
    const [roomIds, identities] = [0, 1].map((part) => names.map((name) => name.split('/')[part]));
    const rows = await db.$queryRaw<{ name: string; removed_at: Date }[]>`
      SELECT room_id || '/' || identity AS name, max(removed_at) AS removed_at
        FROM participant JOIN unnest(${roomIds}::uuid[], ${identities}::text[]) AS asked (room_id, identity)
             USING (room_id, identity)
       WHERE removed_at IS NOT NULL GROUP BY room_id, identity`;
    return new Map(rows.map(({ name, removed_at }) => [name, removed_at]));
  });

  return {
    async find({ roomId, projectId, identity, issuedAt }) {
      const [project, removedAt] = await Promise.all([projectOf(roomId), removalOf(`${roomId}/${identity}`)]);
      if (project !== projectId) return 'deleted';
      return removedAt && removedAt >= issuedAt ? 'removed' : 'admitted';
    },
  };
}
