/** Counts what ffmpeg sends to a port of ours: a socket, since a pipe that is read too slowly would hold up the media. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface Tally {
  /** On 127.0.0.1. */
  port: number;
  /** So far. */
  count(): { packets: number; bytes: number };
  close(): void;
}

export async function openTally(): Promise<Tally> {
  const socket = createSocket('udp4');
  let packets = 0;
  let bytes = 0;
  socket.on('message', ({ length }) => {
    packets++;
    bytes += length;
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, count: () => ({ packets, bytes }), close: () => socket.close() };
}
