/** The media server that is a Janus with its VideoRoom plugin: our rooms are its rooms, our media ids its ids of participants. */
import { createHmac } from 'node:crypto';
import * as z from 'zod';
import type { MediaServerAddress } from '../../config.js';
import { isVisible, newMediaId } from '../identity.js';
import { type MediaServer, MediaServerError } from '../media-server.js';
import type { JanusConnection, PluginData } from './connection.js';
import { followRoom } from './follow.js';
import { refusals, unless, wasThere } from './refusals.js';
import { createRtpPublishing } from './rtp-publishing.js';
import { listOf, midsInSizes, participantsOf } from './streams.js';

const plugin = 'janus.plugin.videoroom';

const mostPublishers = 100;
/** Asked of browsers for each participant: 720p of a camera looks good with it, and 16 of them fit into 40 Mbit/s. */
const mostBitsPerSecond = 2_500_000;
/** Baseline: what every browser decodes, and encodes in hardware where it can. */
const h264Profile = '42e01f';
/**
 * Where Janus says hello to whoever would ask for key frames, as a condition of taking such requests: port "discard" of RFC 863.
 * The hello is two packets of empty RTP, which would spoil what listens for the media.
 */
const discardPort = 9;

const roomShape = z.object({ room: z.string(), num_participants: z.number() });
const forwarderShape = z.object({ stream_id: z.number(), port: z.number(), local_rtcp_port: z.number().optional() });

/** A room's own password there: only who holds the admin key can do things to the room. */
const roomSecret = (adminKey: string, roomId: string): string =>
  createHmac('sha256', adminKey).update(roomId).digest('hex');

export async function createVideoRoom(connection: JanusConnection, address: MediaServerAddress): Promise<MediaServer> {
  const { adminKey } = address;
  const handle = await connection.attach(plugin);
  const inRoom = (roomId: string) => ({ room: roomId, secret: roomSecret(adminKey, roomId) });

  async function isThere(roomId: string): Promise<boolean> {
    return (await handle.request({ request: 'exists', room: roomId })).exists === true;
  }

  async function openRoom(roomId: string): Promise<void> {
    // Each refusal is an error in the log of Janus.
    if (await isThere(roomId)) return;
    const wish = {
      ...{ request: 'create', admin_key: adminKey, ...inRoom(roomId), is_private: true, permanent: false },
      // Or any publisher could have Janus record what it publishes, into files of its choice.
      lock_record: true,
      ...{ publishers: mostPublishers, bitrate: mostBitsPerSecond, audiocodec: 'opus', videocodec: 'vp8,h264' },
      ...{ h264_profile: h264Profile, notify_joining: true },
    };
    await handle.request(wish).catch(unless(refusals.roomExists));
  }

  /** What one who joins is told of those who are there: lists, that anybody may ask for, tell no tracks. */
  async function look(roomId: string): Promise<PluginData> {
    if (!(await isThere(roomId))) return {};
    const visit = await connection.attach(plugin);
    try {
      const joining = { request: 'join', ptype: 'publisher', room: roomId, id: newMediaId('recorder', 'visitor') };
      return (await visit.request(joining).catch(unless(refusals.noSuchRoom))) ?? {};
    } finally {
      await visit.detach();
    }
  }

  async function stopForward(roomId: string, mediaId: string, streamId: string): Promise<void> {
    const request = { request: 'stop_rtp_forward', ...inRoom(roomId), admin_key: adminKey, publisher_id: mediaId };
    await wasThere(handle.request({ ...request, stream_id: Number(streamId) }));
  }

  const publishing = createRtpPublishing({ handle, inRoom, address });

  return {
    ended: connection.ended,
    close: connection.close,
    openRoom,

    async closeRoom(roomId) {
      if (!(await isThere(roomId))) return;
      await publishing.endAll(roomId);
      await handle.request({ request: 'destroy', ...inRoom(roomId) }).catch(unless(refusals.noSuchRoom));
    },

    async occupiedRooms() {
      const { list } = await handle.request({ request: 'list', admin_key: adminKey });
      return listOf(list, roomShape).flatMap(({ room, num_participants }) => (num_participants > 0 ? [room] : []));
    },

    async participants(roomId) {
      const { publishers, attendees } = await look(roomId);
      // Attendees do not publish yet.
      return [...participantsOf(publishers), ...participantsOf(attendees)].filter(({ mediaId }) => isVisible(mediaId));
    },

    async remove(roomId, mediaId) {
      // A kick takes one that sends RTP off the list only: it would go on unseen.
      if (await publishing.end(roomId, mediaId)) return true;
      return wasThere(handle.request({ request: 'kick', ...inRoom(roomId), id: mediaId }));
    },

    mute: (roomId, mediaId, mid, muted) =>
      wasThere(handle.request({ request: 'moderate', ...inRoom(roomId), id: mediaId, mid, mute: muted })),

    async follow(roomId, onNews, identity = 'follower') {
      await openRoom(roomId);
      return followRoom(connection, { plugin, roomId, identity, onNews });
    },

    async forward(roomId, mediaId, host, wishes) {
      const inSizes = midsInSizes((await look(roomId)).publishers, mediaId);
      const streams = wishes.map(({ mid, port, payloadType, ssrc }) => ({
        ...{ mid, port, pt: payloadType, ssrc, rtcp_port: discardPort },
        // Of several sizes the largest that comes, instead of always the smallest. With a single size nothing would come at all.
        simulcast: inSizes.includes(mid),
      }));
      const request = { request: 'rtp_forward', ...inRoom(roomId), admin_key: adminKey, publisher_id: mediaId };
      const { forwarders } = await handle.request({ ...request, host, streams });
      const made = listOf(forwarders, forwarderShape);
      const answer = wishes.flatMap(({ mid, port }) => {
        const forwarder = made.find((each) => each.port === port);
        if (!forwarder) return [];
        return [{ mid, streamId: String(forwarder.stream_id), rtcpPort: forwarder.local_rtcp_port ?? null }];
      });
      if (answer.length === wishes.length) return answer;
      await Promise.all(answer.map(({ streamId }) => stopForward(roomId, mediaId, streamId)));
      const missing = wishes.filter(({ mid }) => !answer.some((each) => each.mid === mid)).map(({ mid }) => mid);
      throw new MediaServerError(refusals.noSuchFeed, `${mediaId} publishes no track ${missing.join(', ')} now.`);
    },

    stopForward,

    async publish(roomId, participant) {
      await openRoom(roomId);
      return publishing.begin(roomId, participant);
    },

    async unpublish(roomId, mediaId) {
      await publishing.end(roomId, mediaId);
    },
  };
}
