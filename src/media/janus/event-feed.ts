/** What a Janus reports of itself: its event handler connects to us over WebSocket, and speaks only. */
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { WebSocketServer } from 'ws';
import type { MediaServerEvent } from '../media-server.js';
import { readEvents } from './events.js';

export interface MediaEvents {
  /** Where it listens, on 127.0.0.1. */
  port: number;
  close(): Promise<void>;
}

const subprotocol = 'janus-events';
/** Janus sends at most 100 events in one message, of some hundred bytes each. */
const largestMessageBytes = 8 * 1_048_576;

/**
 * Listens for the media server's reports; port 0: any free one. Janus holds back in its memory what it cannot send and sends it
 * once it reaches us, so after `connected` old events may come, in order; it tries again after 1, 2, 4 and then each 8 s.
 * Throws when the port is taken.
 */
export async function listenForMediaEvents({
  port,
  log,
  onEvent,
}: {
  port: number;
  log: Logger;
  onEvent: (event: MediaServerEvent) => void;
}): Promise<MediaEvents> {
  const server = new WebSocketServer({
    host: '127.0.0.1',
    port,
    maxPayload: largestMessageBytes,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
    // Janus calls itself so; a page in a browser of this machine would have an origin of its own.
    verifyClient: ({ origin }: { origin?: string }) => !origin || origin === 'http://127.0.0.1',
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', reject);
  });

  server.on('connection', (socket) => {
    if (socket.protocol !== subprotocol) return socket.close();
    onEvent({ type: 'connected' });
    socket.on('message', (data) => {
      const events = readEvents(String(data));
      if (events) events.forEach(onEvent);
      else log.warn('the media server reported something that is no event');
    });
    socket.on('error', (error) => log.warn({ err: error }, 'the media server reports no more'));
    socket.on('close', () => onEvent({ type: 'disconnected' }));
  });

  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of server.clients) socket.terminate();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
