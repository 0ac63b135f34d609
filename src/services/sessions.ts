/** Sessions as they are looked at: live periods of rooms, and what was recorded of them. */
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database } from '../db.js';
import type { Prisma, Session } from '../generated/prisma/client.js';
import { type RecordedSession, recordingStatus } from '../rooms/recording-status.js';
import type { PageQuery } from './job-pages.js';
import { visibleSources } from './visibility.js';

export interface SessionsFilter {
  /** Null is no room at all: the id that was given cannot be one. */
  roomId?: string | null | undefined;
  record?: boolean | null | undefined;
}

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ db, config }: { db: Database; config: Pick<Config, 'publicUrl'> }) {
  const where = ({ roomId, record }: SessionsFilter, viewer: Viewer): Prisma.SessionWhereInput => ({
    ...visibleSources(viewer),
    ...(roomId === undefined ? {} : roomId === null ? { id: { in: [] } } : { roomId }),
    ...(record == null ? {} : { record }),
  });

  return {
    /** `query` is a Prisma selection. Null for what is not there or not the viewer's; a job's own token sees the job's session. */
    find: (query: object, id: string, viewer: Viewer): Promise<Session | null> =>
      db.session.findFirst({ ...query, where: { ...visibleSources(viewer), id } }),

    /** What was live last comes first. */
    list: (page: PageQuery, filter: SessionsFilter, viewer: Viewer): Promise<Session[]> =>
      db.session.findMany({
        ...(page as object),
        where: where(filter, viewer),
        orderBy: [{ lastSeenAt: 'desc' }, { id: 'desc' }],
      }),

    count: (filter: SessionsFilter, viewer: Viewer): Promise<number> =>
      db.session.count({ where: where(filter, viewer) }),

    /** Where a session plays: live, then recorded. Null for the token of a job, which opens that job alone. */
    playbackUrl: ({ playbackId }: { playbackId: string }, viewer: Viewer): string | null =>
      viewer.kind === 'key' ? `${config.publicUrl}/play/${playbackId}.m3u8` : null,

    /** The same, once it is what was recorded that plays there. */
    recordingUrl(session: RecordedSession & { playbackId: string }, viewer: Viewer): string | null {
      return recordingStatus(session) === 'READY' ? this.playbackUrl(session, viewer) : null;
    },
  };
}
