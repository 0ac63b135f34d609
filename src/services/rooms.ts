/** Rooms: places where people meet live. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { Room } from '../generated/prisma/client.js';
import { visibleSources } from './visibility.js';

export type Rooms = ReturnType<typeof createRooms>;

export function createRooms({ db }: { db: Database }) {
  return {
    /** `query` is a Prisma selection. Null for what is not there or not the viewer's; a job's own token sees the job's room. */
    find: (query: object, id: string, viewer: Viewer): Promise<Room | null> =>
      db.room.findFirst({ ...query, where: { ...visibleSources(viewer), id } }),
  };
}
