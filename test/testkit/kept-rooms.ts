/** Rooms kept as the rooms process keeps them, for a media server that says what a test lets it say. */
import { pino } from 'pino';
import type { Database } from '../../src/db.js';
import { newMediaId } from '../../src/media/identity.js';
import {
  type MediaParticipant,
  type MediaServer,
  MediaServerLostError,
  type MediaTrack,
  type MediaTrackStats,
} from '../../src/media/media-server.js';
import type { RoomEventPayload } from '../../src/rooms/events.js';
import { type Look, type Rooms, startRooms } from '../../worker/rooms/rooms.js';
import { type OwnDatabase, ownDatabase } from './database.js';
import { createProject, createRoom } from './jobs.js';

export const microphone: MediaTrack = { mid: '0', kind: 'AUDIO', codec: 'opus', source: 'microphone' };
export const camera: MediaTrack = { mid: '1', kind: 'VIDEO', codec: 'vp8', source: 'camera' };
export const screen: MediaTrack = { mid: '2', kind: 'VIDEO', codec: 'vp8', source: 'screen' };

export interface KeptRooms extends OwnDatabase {
  projectId: string;
  /** The process's state; another one after `restart`. */
  readonly rooms: Rooms;
  newRoom(): Promise<string>;
  /** Who is in which room, as the media server says when it is asked; null: it cannot be asked. */
  there: Map<string, MediaParticipant[]> | null;
  /** A browser that joins, says so, and is there. */
  join(roomId: string, identity: string): Person;
  /** Events of the room, in order. */
  events(roomId: string): Promise<RoomEventPayload[]>;
  /** The process ends, and another one begins: nothing is said to anybody. */
  restart(): Promise<void>;
}

/** Somebody on the media server; each call is an event of it. */
export interface Person {
  mediaId: string;
  publish(...tracks: MediaTrack[]): void;
  unpublish(): void;
  leave(): void;
  /** What the media server has counted of the track since its connection began. */
  count(track: MediaTrack, counted: Partial<MediaTrackStats>, at?: number): void;
}

export async function keepRooms({ graceMs = 60_000, looks = [] as Look[] } = {}): Promise<KeptRooms> {
  const own = await ownDatabase();
  const { db } = own;
  const projectId = await createProject(db);
  let rooms: Rooms;

  const server = {
    occupiedRooms: async () =>
      [...(kept.there ?? [])].flatMap(([roomId, people]) => (people.length > 0 ? [roomId] : [])),
    participants: async (roomId: string) => kept.there?.get(roomId) ?? [],
  } as MediaServer;
  const start = () =>
    startRooms({
      ...{ db, looks, eventsPort: 0, sessionGraceMs: graceMs, log: pino({ level: 'silent' }) },
      media: {
        async get() {
          if (!kept.there) throw new MediaServerLostError('It is away.');
          return server;
        },
      },
    });

  const kept: KeptRooms = {
    ...own,
    projectId,
    get rooms() {
      return rooms;
    },
    newRoom: () => createRoom(db, projectId),
    there: new Map(),
    join: (roomId, identity) => joined(kept, roomId, identity),
    events: (roomId) => eventsOf(db, roomId),
    async restart() {
      await rooms.close();
      rooms = await start();
    },
    async remove() {
      await rooms.close();
      await own.remove();
    },
  };
  rooms = await start();
  return kept;
}

function joined(kept: KeptRooms, roomId: string, identity: string): Person {
  const mediaId = newMediaId('browser', identity);
  const self: MediaParticipant = { mediaId, name: identity, tracks: [] };
  const report = (event: object) => kept.rooms.state.report({ at: Date.now(), roomId, mediaId, ...event } as never);
  kept.there?.set(roomId, [...(kept.there.get(roomId) ?? []), self]);
  report({ type: 'joined', name: identity });
  return {
    mediaId,
    publish(...tracks) {
      self.tracks = tracks;
      report({ type: 'published', name: identity, tracks });
    },
    unpublish() {
      self.tracks = [];
      // As Janus does.
      for (let times = 0; times < 2; times++) report({ type: 'unpublished' });
    },
    leave() {
      kept.there?.set(
        roomId,
        (kept.there.get(roomId) ?? []).filter((each) => each !== self),
      );
      report({ type: 'unpublished' });
      report({ type: 'left' });
    },
    count({ mid, kind }, counted, at = Date.now()) {
      const nothing = { bytesReceived: 0, packetsReceived: 0, packetsLost: 0, bytesSent: 0 };
      const tracks = [{ mid, kind, ...nothing, ...counted }];
      kept.rooms.state.reportStats({ type: 'stats', at, mediaId, connection: 'one', tracks });
    },
  };
}

/** What the outbox has of the room itself. */
export async function eventsOf(db: Database, roomId: string): Promise<RoomEventPayload[]> {
  const rows = await db.$queryRaw<{ payload: RoomEventPayload }[]>`
    SELECT payload FROM event WHERE room_id = ${roomId}::uuid AND job_id IS NULL ORDER BY xid, id`;
  return rows.map(({ payload }) => payload);
}
