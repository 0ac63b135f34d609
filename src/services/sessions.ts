/** Sessions: live periods of rooms. */
import type { Viewer } from '../auth/viewer.js';
import type { Database } from '../db.js';
import type { Session } from '../generated/prisma/client.js';
import { visibleSources } from './visibility.js';

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ db }: { db: Database }) {
  return {
    /** `query` is a Prisma selection. Null for what is not there or not the viewer's; a job's own token sees the job's session. */
    find: (query: object, id: string, viewer: Viewer): Promise<Session | null> =>
      db.session.findFirst({ ...query, where: { ...visibleSources(viewer), id } }),
  };
}
