/** Reads what Janus reports into our own words; what is not understood, or is nobody's business, is left out. */
import * as z from 'zod';
import type { MediaServerEvent, MediaTrackStats } from '../media-server.js';
import { listOf, tracksOf } from './streams.js';

/** Numbers of Janus' kinds of events. */
const kinds = { media: 32, plugin: 64 } as const;
const mediaKinds = { receiving: 1, slowLink: 2, stats: 3 } as const;

const reportShape = z.object({
  type: z.number(),
  subtype: z.number().optional(),
  /** Microseconds of the epoch. */
  timestamp: z.number(),
  handle_id: z.number().optional(),
  /** The media id: whoever attaches a handle for a participant says so. */
  opaque_id: z.string().optional(),
  event: z.unknown(),
});
type Report = z.infer<typeof reportShape>;

const roomEventShape = z.object({
  plugin: z.literal('janus.plugin.videoroom'),
  data: z.object({
    event: z.string().optional(),
    /** What is elsewhere `event`, of an event of moderation. */
    videoroom: z.string().optional(),
    room: z.string(),
    id: z.string(),
    display: z.string().optional(),
    streams: z.unknown().optional(),
    mid: z.string().optional(),
    moderation: z.enum(['muted', 'unmuted']).optional(),
  }),
});

const receivingShape = z.object({ mid: z.string(), receiving: z.boolean() });
const slowLinkShape = z.object({ slow_link: z.enum(['uplink', 'downlink']) });
const count = z.number().default(0);
const statsShape = z.object({
  mid: z.string(),
  media: z.enum(['audio', 'video']),
  'bytes-received': count,
  'packets-received': count,
  lost: count,
  'bytes-sent': count,
});

/** Undefined when it is not a message of events at all. */
export function readEvents(text: string): MediaServerEvent[] | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof message !== 'object' || message === null) return undefined;
  return listOf(Array.isArray(message) ? message : [message], reportShape).flatMap(readReport);
}

function readReport(report: Report): MediaServerEvent[] {
  const at = Math.round(report.timestamp / 1000);
  if (report.type === kinds.plugin) return readRoomEvent(report, at);
  if (report.type === kinds.media && report.opaque_id) return readMediaEvent(report, report.opaque_id, at);
  return [];
}

function readRoomEvent({ event }: Report, at: number): MediaServerEvent[] {
  const parsed = roomEventShape.safeParse(event);
  if (!parsed.success) return [];
  const { room: roomId, id: mediaId, display: name = '', streams, mid, moderation, ...data } = parsed.data.data;
  const of = { at, roomId, mediaId };
  switch (data.event ?? data.videoroom) {
    case 'joined':
      return [{ type: 'joined', ...of, name }];
    case 'published':
    case 'updated':
      return [{ type: 'published', ...of, name, tracks: tracksOf(streams) }];
    case 'unpublished':
      return [{ type: 'unpublished', ...of }];
    case 'leaving':
    case 'kicked':
      return [{ type: 'left', ...of }];
    case 'moderated':
      return mid && moderation ? [{ type: 'muted', ...of, mid, muted: moderation === 'muted' }] : [];
    default:
      return [];
  }
}

function readMediaEvent({ subtype, event, handle_id }: Report, mediaId: string, at: number): MediaServerEvent[] {
  if (subtype === mediaKinds.receiving) {
    const { data } = receivingShape.safeParse(event);
    return data ? [{ type: 'receiving', at, mediaId, ...data }] : [];
  }
  if (subtype === mediaKinds.slowLink) {
    const { data } = slowLinkShape.safeParse(event);
    // Janus speaks of its own links: what it receives is its downlink.
    return data ? [{ type: 'slow-link', at, mediaId, uplink: data.slow_link === 'downlink' }] : [];
  }
  if (subtype !== mediaKinds.stats || handle_id === undefined) return [];
  const tracks = listOf(Array.isArray(event) ? event : [event], statsShape).map(
    (stats): MediaTrackStats => ({
      mid: stats.mid,
      kind: stats.media === 'audio' ? 'AUDIO' : 'VIDEO',
      bytesReceived: stats['bytes-received'],
      packetsReceived: stats['packets-received'],
      packetsLost: stats.lost,
      bytesSent: stats['bytes-sent'],
    }),
  );
  return tracks.length > 0 ? [{ type: 'stats', at, mediaId, connection: String(handle_id), tracks }] : [];
}
