/** Encoders in rooms: who sends to the ingest server with the stream key of a room is brought into it, and cut off when the key is no longer the room's. */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Database } from '../../src/db.js';
import type { MediaLink } from '../../src/media/media-link.js';
import { MediaServerLostError } from '../../src/media/media-server.js';
import { repeat } from '../../src/repeat.js';
import { createCounting, type StatsEvent } from './counting.js';
import { startGatekeeper } from './gatekeeper.js';
import { withoutLeftovers } from './leftovers.js';
import { relay } from './relay.js';
import { createIngestServer, type IngestServerAddress, type IngestStream, rtspUrl, timedUrl } from './server.js';
import { openTally } from './tally.js';

export interface IngestOptions {
  /** `authPort`: where the ingest server asks who may do what. */
  address: IngestServerAddress & { authPort: number };
  tools: { ffmpeg: string; ffprobe: string };
  db: Database;
  media: Pick<MediaLink, 'get'>;
  /** Told what the media server cannot know: how much encoders send, and what they should do otherwise. */
  onStats: (event: StatsEvent) => void;
  log: Logger;
}

/** Encoders are noticed, and cut off, after this long at most; and how much they send is told once a turn of two. */
const lookMs = 500;
const statsMs = 1_000;

interface Relayed {
  stream: IngestStream;
  roomId: string;
  counting: ReturnType<typeof createCounting>;
  stop: AbortController;
  ended: Promise<void>;
  /** Whether it has ended, asked or not. */
  isOver: boolean;
}

/** Runs until it is closed, which takes all encoders out of their rooms. Throws when `authPort` is taken. */
export async function startIngest({
  address,
  tools,
  db,
  media,
  onStats,
  log,
}: IngestOptions): Promise<{ close(): Promise<void> }> {
  const server = createIngestServer(address);
  const linked = withoutLeftovers(media, log);
  const readingPassword = randomBytes(24).toString('base64url');
  const relayed = new Map<string, Relayed>();
  const reports = await openTally();
  let toldAt = 0;

  const roomsOf = async (streamKeys: string[]): Promise<Map<string, string>> => {
    if (streamKeys.length === 0) return new Map();
    const rooms = await db.room.findMany({
      where: { streamKey: { in: streamKeys }, deletedAt: null },
      select: { id: true, streamKey: true },
    });
    return new Map(rooms.map(({ id, streamKey }) => [streamKey, id]));
  };
  const gatekeeper = await startGatekeeper({
    port: address.authPort,
    secret: address.secret,
    readingPassword,
    isStreamKey: async (streamKey) => (await roomsOf([streamKey])).size > 0,
    log,
  }).catch((error) => {
    reports.close();
    throw error;
  });

  function begin(stream: IngestStream, roomId: string): void {
    const stop = new AbortController();
    const counting = createCounting();
    const each: Relayed = { stream, roomId, counting, stop, ended: Promise.resolve(), isOver: false };
    relayed.set(stream.connection, each);
    const ofIt = log.child({ roomId, protocol: stream.protocol });
    ofIt.info('an encoder has connected');
    each.ended = relay({
      roomId,
      urls: {
        any: rtspUrl(address, stream.streamKey, readingPassword),
        timed: timedUrl(address, stream, readingPassword),
      },
      media: linked,
      tools,
      rtcpPort: reports.port,
      onPresence(presence) {
        each.counting.begin(presence);
        for (const issue of presence?.plan.issues ?? []) ofIt.warn(issue);
      },
      endEncoder: () => server.end(each.stream),
      log: ofIt,
      signal: stop.signal,
    })
      .catch((error) => ofIt.error({ err: error }, 'bringing an encoder into its room has failed'))
      .finally(() => {
        each.isOver = true;
      });
  }

  async function end(connection: string, why: string): Promise<void> {
    const each = relayed.get(connection);
    if (!each) return;
    log.info({ roomId: each.roomId, protocol: each.stream.protocol }, why);
    each.stop.abort();
    await each.ended;
    relayed.delete(connection);
  }

  const look = repeat(
    lookMs,
    async () => {
      // Also while nobody sends. Relays wait for a connection by themselves.
      void linked.get().catch((error) => {
        if (!(error instanceof MediaServerLostError)) log.warn({ err: error }, 'rooms may show encoders that are gone');
      });
      // Whoever sends all the same is brought in again. Before it is asked who sends: an encoder that was ended is not listed then.
      for (const [connection, { isOver }] of relayed) if (isOver) relayed.delete(connection);
      const streams = await server.streams();
      const rooms = await roomsOf(streams.map(({ streamKey }) => streamKey));
      const sending = new Set(streams.map(({ connection }) => connection));
      const gone = [...relayed.keys()].filter((connection) => !sending.has(connection));
      await Promise.all(gone.map((connection) => end(connection, 'an encoder has gone')));
      for (const stream of streams) {
        const roomId = rooms.get(stream.streamKey);
        const known = relayed.get(stream.connection);
        if (known) known.stream = stream;
        if (!roomId) {
          await server.end(stream);
          await end(stream.connection, 'an encoder was disconnected: its stream key is no longer that of a room');
        } else if (!known) begin(stream, roomId);
      }
      const at = Date.now();
      if (at - toldAt < statsMs - lookMs / 2) return;
      toldAt = at;
      for (const { counting, stream } of relayed.values()) {
        const event = counting.report(stream, at);
        if (event) onStats(event);
      }
    },
    (error) => log.warn({ err: error }, 'the ingest server could not be asked who sends'),
  );

  return {
    async close() {
      await look.close();
      await Promise.all(
        [...relayed.keys()].map((connection) => end(connection, 'an encoder is no longer brought into its room')),
      );
      await gatekeeper.close();
      reports.close();
    },
  };
}
