/**
 * Renders whose recorder host was killed: what it published outlives the connection that it was published by, and would stay in
 * the room with a frozen picture.
 */
import type { Logger } from 'pino';
import type { Database } from '../db.js';
import type { JobState } from '../jobs/states.js';
import type { MediaLink } from '../media/media-link.js';
import { MediaServerError } from '../media/media-server.js';

/** In which a host may publish. What one of QUEUED has published was left by a machine that is lost. */
const publishing: JobState[] = ['STARTING', 'STANDBY', 'RECORDING', 'RECONNECTING', 'PAUSED', 'STOPPING'];

export interface LostRenders {
  /** Takes those out of their rooms that no host publishes any more. Safe at any time, also twice at once. */
  look(): Promise<void>;
}

export function createLostRenders(deps: { db: Database; media: Pick<MediaLink, 'get'>; log: Logger }): LostRenders {
  const { db, media, log } = deps;
  return {
    async look() {
      const present = await db.participant.findMany({
        where: { leftAt: null, kind: 'RENDER' },
        select: { roomId: true, mediaId: true },
      });
      if (present.length === 0) return;
      // Read second: before anything is published its id is there.
      const renders = await db.render.findMany({
        where: { streamId: { in: present.map(({ mediaId }) => mediaId) }, job: { state: { in: publishing } } },
        select: { streamId: true },
      });
      const published = new Set(renders.map(({ streamId }) => streamId));
      const lost = present.filter(({ mediaId }) => !published.has(mediaId));
      if (lost.length === 0) return;
      const server = await media.get();
      for (const { roomId, mediaId } of lost) {
        try {
          await server.unpublish(roomId, mediaId);
          log.info({ roomId, mediaId }, 'a render was taken out of its room, as no host publishes it any more');
        } catch (error) {
          // One room that refuses us must not keep the others.
          if (!(error instanceof MediaServerError)) throw error;
          log.warn({ err: error, roomId, mediaId }, 'a render that is over could not be taken out of its room');
        }
      }
    },
  };
}
