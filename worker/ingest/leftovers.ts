/** Encoders that an earlier process, or a lost connection, has left in rooms: the media server keeps them there with a frozen picture. */
import type { Logger } from 'pino';
import { parseMediaId } from '../../src/media/identity.js';
import type { MediaLink } from '../../src/media/media-link.js';
import { type MediaServer, MediaServerError } from '../../src/media/media-server.js';

/**
 * The same link, whose connections are handed out once such encoders were taken out of all rooms that let us: none of them is
 * ours by then.
 */
export function withoutLeftovers(media: Pick<MediaLink, 'get'>, log: Logger): Pick<MediaLink, 'get'> {
  const cleared = new WeakMap<MediaServer, Promise<void>>();
  return {
    async get() {
      const server = await media.get();
      const clearing = cleared.get(server) ?? clear(server, log);
      cleared.set(server, clearing);
      try {
        await clearing;
      } catch (error) {
        cleared.delete(server);
        throw error;
      }
      return server;
    },
  };
}

async function clear(server: MediaServer, log: Logger): Promise<void> {
  for (const roomId of await server.occupiedRooms()) {
    try {
      const ingested = (await server.participants(roomId)).filter(
        ({ mediaId }) => parseMediaId(mediaId)?.kind === 'ingest',
      );
      for (const { mediaId } of ingested) await server.unpublish(roomId, mediaId);
    } catch (error) {
      // Others may use the same media server, and not let us into their rooms.
      if (!(error instanceof MediaServerError)) throw error;
      log.warn({ err: error, roomId }, 'a room may show encoders that are gone: it does not let us in');
    }
  }
}
