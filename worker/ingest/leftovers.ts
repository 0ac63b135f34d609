/** Encoders that an earlier process, or a lost connection, has left in rooms: the media server keeps them there with a frozen picture. */
import { parseMediaId } from '../../src/media/identity.js';
import type { MediaLink } from '../../src/media/media-link.js';
import type { MediaServer } from '../../src/media/media-server.js';

/** The same link, whose connections are handed out once such encoders were taken out of all rooms: none of them is ours by then. */
export function withoutLeftovers(media: Pick<MediaLink, 'get'>): Pick<MediaLink, 'get'> {
  const cleared = new WeakMap<MediaServer, Promise<void>>();
  return {
    async get() {
      const server = await media.get();
      const clearing = cleared.get(server) ?? clear(server);
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

async function clear(server: MediaServer): Promise<void> {
  for (const roomId of await server.occupiedRooms()) {
    const ingested = (await server.participants(roomId)).filter(
      ({ mediaId }) => parseMediaId(mediaId)?.kind === 'ingest',
    );
    for (const { mediaId } of ingested) await server.unpublish(roomId, mediaId);
  }
}
