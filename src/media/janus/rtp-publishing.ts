/**
 * Publishing plain RTP in a room of VideoRoom, as its "remote publishers", which are made to join several Janus to one room. Found
 * in the source of Janus 1.1.2, and tried with it:
 * - Others see, watch, forward, mute and remove them like anybody; Janus reports `published` and `left` of them, no `joined`, and no
 *   statistics, as they have no connection.
 * - Payload types are of no account, only SSRCs are. Whatever sends to the port is taken: it listens on loopback where it can.
 * - Tracks are named by their positions, and an H.264 profile cannot be told: it is declared a boolean. The room's is announced,
 *   and browsers decode High all the same.
 * - Requests for key frames go to whoever last sent a packet to a second port, next to the first: nobody does, so viewers wait
 *   for the next key frame.
 * - A room that is closed, or a kick, leaves their threads running. And each that had a packet leaves four file descriptors
 *   behind, two of them UDP ports from 10000 up, and one more when it was forwarded: so do not publish anew what goes on.
 */
import { isIPv4 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import type { MediaServerAddress } from '../../config.js';
import { MediaServerError, type RtpPublication, type RtpTrack } from '../media-server.js';
import type { JanusHandle } from './connection.js';
import { refusals, unless, wasThere } from './refusals.js';
import { listOf } from './streams.js';

/** The SSRC of the packets of the first track, and how far those of the next are from it: both are fixed in Janus. */
const firstSsrc = 1000;
const ssrcStep = 10;

/** One becomes a participant on a thread of its own, some milliseconds after the request for it was answered. */
const presencePollMs = 20;
const presenceLimitMs = 5_000;

const publicationShape = z.object({ port: z.number(), ip: z.string().optional() });
const participantShape = z.object({ id: z.string(), remote: z.boolean().optional() });
const forwardersShape = z.object({
  publisher_id: z.string(),
  forwarders: z.array(z.object({ stream_id: z.number() })),
});

interface Deps {
  handle: JanusHandle;
  /** What names a room in a request, and opens it. */
  inRoom(roomId: string): { room: string; secret: string };
  address: MediaServerAddress;
}

export function createRtpPublishing({ handle, inRoom, address: { url, adminKey } }: Deps) {
  const { hostname } = new URL(url);
  const isHere = hostname === 'localhost' || (isIPv4(hostname) && hostname.startsWith('127.'));

  async function listed(roomId: string): Promise<z.infer<typeof participantShape>[]> {
    const request = { request: 'listparticipants', ...inRoom(roomId) };
    const answer = await handle.request(request).catch(unless(refusals.noSuchRoom));
    return listOf(answer?.participants, participantShape);
  }

  async function untilPresent(roomId: string, mediaId: string): Promise<void> {
    for (const endsAt = Date.now() + presenceLimitMs; Date.now() < endsAt; await sleep(presencePollMs)) {
      if ((await listed(roomId)).some(({ id }) => id === mediaId)) return;
    }
    throw new MediaServerError(0, `${mediaId} was to publish in room ${roomId}, and did not appear there.`);
  }

  /** Its forwarders would go on holding their sockets. */
  async function stopForwarders(roomId: string, mediaId: string): Promise<void> {
    const keys = { ...inRoom(roomId), admin_key: adminKey };
    const answer = await handle.request({ request: 'listforwarders', ...keys }).catch(unless(refusals.noSuchRoom));
    const own = listOf(answer?.publishers, forwardersShape).filter(({ publisher_id }) => publisher_id === mediaId);
    for (const { stream_id } of own.flatMap(({ forwarders }) => forwarders)) {
      await wasThere(handle.request({ request: 'stop_rtp_forward', ...keys, publisher_id: mediaId, stream_id }));
    }
  }

  async function end(roomId: string, mediaId: string): Promise<boolean> {
    if (!(await listed(roomId)).some(({ id, remote }) => id === mediaId && remote)) return false;
    await stopForwarders(roomId, mediaId);
    return wasThere(handle.request({ request: 'remove_remote_publisher', ...inRoom(roomId), id: mediaId }));
  }

  return {
    async begin(
      roomId: string,
      { mediaId, name, tracks }: { mediaId: string; name: string; tracks: RtpTrack[] },
    ): Promise<RtpPublication> {
      const streams = tracks.map(({ kind, codec, source }, index) => ({
        ...{ mindex: index, mid: String(index), type: kind.toLowerCase(), codec },
        ...(source ? { description: source } : {}),
      }));
      const request = { request: 'add_remote_publisher', ...inRoom(roomId), id: mediaId, display: name, streams };
      const answer = await handle.request({ ...request, ...(isHere ? { iface: '127.0.0.1' } : {}) });
      try {
        const { port, ip } = publicationShape.parse(answer);
        await untilPresent(roomId, mediaId);
        const ssrcs = tracks.map(({ mid }, index) => ({ mid, ssrc: firstSsrc + index * ssrcStep }));
        return { host: ip ?? hostname, port, tracks: ssrcs };
      } catch (error) {
        // Nobody else knows that it is there. Why it is of no use is what matters, whatever becomes of its end.
        await end(roomId, mediaId).catch(() => {});
        throw error;
      }
    },

    /** Answers whether there was one. */
    end,

    /** Those of a room that is closed under them would never end. */
    async endAll(roomId: string): Promise<void> {
      for (const { id, remote } of await listed(roomId)) if (remote) await end(roomId, id);
    },
  };
}
