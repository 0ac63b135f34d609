/**
 * Publishes what an encoder sends as RTP in a room, for as long as the encoder does: it sends to one port here, whatever becomes
 * of the media server meanwhile.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { MediaServerAddress } from '../../src/config.js';
import type { PublicationSpec } from '../../src/jobs/capture.js';
import { connectMediaServer } from '../../src/media/connect.js';
import type { MediaServer, RtpPublication, RtpTrack } from '../../src/media/media-server.js';
import { createLine, type Line, rtpHeaderBytes } from './line.js';
import { publishedTracks } from './tracks.js';

const firstRetryMs = 250;
const longestRetryMs = 5_000;
/** A host that ends waits for it; what is left in the room is found there later. */
const leaveLimitMs = 3_000;

const tracks: RtpTrack[] = [
  // People look at it as at a shared screen, whole and as the main thing; its sound belongs to that, and is nobody besides.
  { mid: publishedTracks.sound.mid, kind: 'AUDIO', codec: 'opus', source: 'screen' },
  { mid: publishedTracks.picture.mid, kind: 'VIDEO', codec: 'h264', source: 'screen', h264Profile: '42e01f' },
];

export interface Publication {
  /** UDP port on 127.0.0.1 that the encoder sends all its packets to. */
  port: number;
  /** Whether others see it at the moment. */
  isUp(): boolean;
  /** Takes it out of the room. */
  close(): Promise<void>;
}

/** Publishes as soon as the media server lets it, and again whenever that was restarted. Packets that come meanwhile are dropped. */
export async function startPublication(options: {
  publication: PublicationSpec;
  address: MediaServerAddress;
  /** One line for the host's log. */
  note: (text: string) => void;
}): Promise<Publication> {
  const { publication, address, note } = options;
  const { roomId, mediaId, name } = publication;
  const stop = new AbortController();
  const socket = createSocket('udp4');
  let current: RtpPublication | null = null;
  /** It outlives the connection that it was made by. */
  let mayBeThere = false;
  const ssrcOf = new Map<number, number>();
  const lines = new Map<number, Line>(
    Object.values(publishedTracks).map(({ ssrc, clockHz }) => [ssrc, createLine(clockHz)]),
  );

  socket.on('error', (error) => note(`publication: ${error.message}`));
  socket.on('message', (packet) => {
    if (packet.length < rtpHeaderBytes) return;
    const own = packet.readUInt32BE(8);
    const ssrc = ssrcOf.get(own);
    if (!current || ssrc === undefined) return;
    lines.get(own)?.continue(packet);
    packet.writeUInt32BE(ssrc, 8);
    socket.send(packet, current.port, current.host);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');

  async function publish(server: MediaServer): Promise<void> {
    // One of an earlier connection may still be there; its packets would go nowhere.
    await server.unpublish(roomId, mediaId);
    mayBeThere = true;
    const made = await server.publish(roomId, { mediaId, name, tracks });
    for (const { mid, ssrc } of made.tracks) {
      const track = Object.values(publishedTracks).find((each) => each.mid === mid);
      if (track) ssrcOf.set(track.ssrc, ssrc);
    }
    current = made;
    note(`published in the room as ${mediaId}`);
  }

  async function leave(server: MediaServer): Promise<void> {
    await server.unpublish(roomId, mediaId);
    mayBeThere = false;
  }

  /** Once more, when it ended between connections. */
  async function leaveAnew(): Promise<void> {
    const server = await connectMediaServer(address, { log: pino({ level: 'silent' }) });
    try {
      await leave(server);
    } finally {
      await server.close();
    }
  }

  async function keep(): Promise<void> {
    let retryMs = firstRetryMs;
    while (!stop.signal.aborted) {
      let server: MediaServer | undefined;
      try {
        server = await connectMediaServer(address, { log: pino({ level: 'silent' }) });
        await publish(server);
        retryMs = firstRetryMs;
        // Asked to stop while it was being published, it would wait for that in vain.
        if (!stop.signal.aborted) await Promise.race([server.ended, once(stop.signal, 'abort')]);
        if (stop.signal.aborted) await leave(server);
        else note('the media server is gone, publishing again');
      } catch (error) {
        note(`not published: ${error instanceof Error ? error.message : String(error)}`);
      }
      current = null;
      await server?.close().catch(() => {});
      await sleep(retryMs, undefined, { signal: stop.signal }).catch(() => {});
      retryMs = Math.min(longestRetryMs, retryMs * 2);
    }
  }
  const keeping = keep();

  return {
    port: socket.address().port,
    isUp: () => current !== null,
    async close() {
      stop.abort();
      await keeping;
      if (mayBeThere) {
        const late = sleep(leaveLimitMs, undefined, { ref: false }).then(() => {
          throw new Error(`the media server did not answer within ${leaveLimitMs / 1000} s`);
        });
        await Promise.race([leaveAnew(), late]).catch((error) =>
          note(`it may still be in the room: ${error instanceof Error ? error.message : String(error)}`),
        );
      }
      socket.close();
    },
  };
}
