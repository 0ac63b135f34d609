/** Connecting to the media server that the settings name: the one place that knows which kind it is. */
import type { Logger } from 'pino';
import type { MediaServerAddress } from '../config.js';
import { connectToJanus } from './janus/connection.js';
import { createVideoRoom } from './janus/video-room.js';
import type { MediaServer } from './media-server.js';

/**
 * Throws MediaServerLostError when there is no media server, MediaServerError when it refuses us. A connection does not mend
 * itself: make a new one when it has ended, and build anew what was built on it.
 */
export async function connectMediaServer(address: MediaServerAddress, { log }: { log: Logger }): Promise<MediaServer> {
  const connection = await connectToJanus(address, { log });
  try {
    return await createVideoRoom(connection, address);
  } catch (error) {
    await connection.close();
    throw error;
  }
}
