/** The connection of a process to the media server: made when it is needed, made again when it is lost. */
import type { Logger } from 'pino';
import type { MediaServerAddress } from '../config.js';
import { connectMediaServer } from './connect.js';
import { type MediaServer, MediaServerLostError } from './media-server.js';

/** After a failed attempt nobody is kept waiting for the next: they are told at once, until the pause is over. */
const firstPauseMs = 250;
const longestPauseMs = 5_000;

export interface MediaLink {
  /** The connection, which may be lost at any later moment. Throws MediaServerLostError while there is none. */
  get(): Promise<MediaServer>;
  close(): Promise<void>;
}

/** `address` is null where no media server is configured. */
export function createMediaLink({ address, log }: { address: MediaServerAddress | null; log: Logger }): MediaLink {
  let current: Promise<MediaServer> | undefined;
  let pauseMs = firstPauseMs;
  let pausedUntil = 0;
  let closed = false;

  async function connect(to: MediaServerAddress): Promise<MediaServer> {
    try {
      const server = await connectMediaServer(to, { log });
      pauseMs = firstPauseMs;
      void server.ended.then((reason) => {
        current = undefined;
        if (!closed) log.warn({ err: reason }, 'the connection to the media server was lost');
      });
      return server;
    } catch (error) {
      current = undefined;
      pausedUntil = Date.now() + pauseMs;
      pauseMs = Math.min(pauseMs * 2, longestPauseMs);
      log.warn({ err: error }, 'the media server could not be reached');
      throw error;
    }
  }

  return {
    async get() {
      if (!address) {
        throw new MediaServerLostError(
          'No media server is configured. Set JANUS_URL, JANUS_API_SECRET and JANUS_ADMIN_KEY; `npm start` does that for the embedded one.',
        );
      }
      if (closed) throw new MediaServerLostError('This process ends.');
      if (!current && Date.now() < pausedUntil) {
        throw new MediaServerLostError(
          'The media server could not be reached a moment ago. Try again in some seconds.',
        );
      }
      current ??= connect(address);
      return current;
    },
    async close() {
      closed = true;
      const server = await current?.catch(() => undefined);
      await server?.close();
    },
  };
}
