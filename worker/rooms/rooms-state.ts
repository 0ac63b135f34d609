/** What the rooms process knows of all rooms: it writes down what the media server reports, and puts right what it missed. */
import type { Logger } from 'pino';
import { validate as isUuid } from 'uuid';
import type { Database } from '../../src/db.js';
import { limitedTo } from '../../src/limited.js';
import { isVisible } from '../../src/media/identity.js';
import type { MediaLink } from '../../src/media/media-link.js';
import {
  type MediaServer,
  MediaServerError,
  type MediaServerEvent,
  MediaServerLostError,
} from '../../src/media/media-server.js';
import type { LiveSessions } from '../../src/services/live-sessions.js';
import type { Health, Participants } from '../../src/services/participants.js';
import { type RoomNow, readRoom } from '../../src/services/room-changes.js';
import { createHomes, type Homes } from './homes.js';
import { createRoomQueue } from './room-queue.js';
import type { SessionStats } from './session-stats.js';
import type { StatsEvent } from './traffic.js';

/** A media server that nothing answers for so long is gone, and everybody with it; a shorter moment is a restart. */
const goneAfterMs = 5_000;
/** Each look at a room costs the media server a visitor. */
const looksAtOnce = 4;
/** Checks come more often. */
const checkedForMs = 15_000;

export interface RoomsState {
  /** What the media server said of itself. Never throws: what could not be written is put right by a check. */
  report(event: MediaServerEvent): void;
  /** What is counted elsewhere, of participants of whom the media server reports nothing. */
  reportStats(event: StatsEvent): void;
  /** Compares all rooms with what the media server says of them. */
  check(): Promise<void>;
  /** Ends the sessions that are over. */
  endSessions(): Promise<void>;
  /** Reads what is open into memory. */
  load(): Promise<void>;
  /** Rooms that somebody is in, or that are live. */
  readonly rooms: ReadonlyMap<string, RoomNow>;
  readonly homes: Homes;
  /** Writes down how what a participant publishes arrives. */
  judge(roomId: string, mediaId: string, health: Health): void;
  /** Since when the media server reports, epoch milliseconds; null while it does not. */
  readonly heardSince: number | null;
  /** Whether it was heard, or could be asked, a moment ago: that what is known of rooms is so. */
  isInTouch(now: number): boolean;
  /** Resolves when everything that was reported is written. */
  idle(): Promise<void>;
}

export function createRoomsState(deps: {
  db: Database;
  participants: Participants;
  sessions: LiveSessions;
  stats: Pick<SessionStats, 'report' | 'begin' | 'end'>;
  media: Pick<MediaLink, 'get'>;
  log: Logger;
  /** A session was opened or ended. */
  onSessionChange(): void;
  /** Something was missed: check soon. */
  onDoubt(): void;
}): RoomsState {
  const { db, participants, sessions, stats, media, log, onSessionChange, onDoubt } = deps;
  const rooms = new Map<string, RoomNow>();
  const homes = createHomes();
  const queue = createRoomQueue();
  const limited = limitedTo(looksAtOnce);
  let feeds = 0;
  let heardSince: number | null = null;
  let lostSince: number | null = null;
  let checkedAt = Number.NEGATIVE_INFINITY;
  /** What the database says may be old until it was compared with the media server once. */
  let isSettled = false;

  async function keep(now: RoomNow | null): Promise<void> {
    if (!now) return;
    const { roomId, session, present } = now;
    const before = rooms.get(roomId)?.session ?? null;
    if (session && session.id !== before?.id) {
      const { watchers } = await stats.begin(session.id);
      for (const mediaId of watchers) homes.enter(mediaId, roomId, Date.now());
    }
    homes.keepOnly(
      roomId,
      present.map(({ mediaId }) => mediaId),
      Date.now(),
    );
    if (session || present.length > 0) rooms.set(roomId, now);
    else rooms.delete(roomId);
    if (session?.id === before?.id) return;
    if (before) stats.end(before.id);
    onSessionChange();
  }

  function write(roomId: string, what: () => Promise<RoomNow | null>): void {
    queue
      .add(roomId, async () => keep(await what()))
      .catch((error) => {
        log.warn({ roomId, err: error }, 'what happened in a room could not be written, looking at it again');
        onDoubt();
      });
  }

  function reportOfRoom(event: Extract<MediaServerEvent, { roomId: string }>): void {
    const { roomId, mediaId } = event;
    if (!isUuid(roomId)) return;
    if (event.type === 'joined' || event.type === 'published') homes.enter(mediaId, roomId, Date.now());
    if (event.type === 'left') homes.forgetUnseen(mediaId);
    if (!isVisible(mediaId)) return;
    write(roomId, () => change(event));
  }

  function change(event: Extract<MediaServerEvent, { roomId: string }>): Promise<RoomNow | null> {
    const { roomId, mediaId } = event;
    switch (event.type) {
      case 'joined':
        return participants.joined(roomId, mediaId, event.name);
      case 'published':
        return participants.published(roomId, event);
      case 'unpublished':
        return participants.unpublished(roomId, mediaId);
      case 'left':
        return participants.left(roomId, mediaId);
      case 'muted':
        return participants.muted(roomId, mediaId, event.mid, event.muted);
    }
  }

  function report(event: MediaServerEvent): void {
    if ('roomId' in event) reportOfRoom(event);
    else if (event.type === 'connected' || event.type === 'disconnected') {
      feeds = Math.max(0, feeds + (event.type === 'connected' ? 1 : -1));
      heardSince = feeds === 0 ? null : event.type === 'connected' ? Date.now() : heardSince;
      log.info(feeds > 0 ? 'the media server reports' : 'the media server reports no more');
      onDoubt();
    } else stats.report(event, Date.now());
  }

  /** Those of ours. */
  async function known(roomIds: readonly string[]): Promise<string[]> {
    const found = await db.room.findMany({ where: { id: { in: roomIds.filter(isUuid) } }, select: { id: true } });
    return found.map(({ id }) => id);
  }

  const settle = (roomId: string, server: MediaServer | null) =>
    queue.add(roomId, async () => {
      try {
        // Asked for in the room's turn, so that it is newer than all that was heard of the room before.
        const there = server ? await server.participants(roomId) : [];
        await keep(await participants.settle(roomId, there));
      } catch (error) {
        if (!(error instanceof MediaServerError)) throw error;
        log.warn({ roomId, err: error }, 'the media server did not say who is in a room');
      }
    });

  async function settleAll(roomIds: readonly string[], server: MediaServer | null): Promise<void> {
    const outcomes = await Promise.allSettled(roomIds.map(limited((roomId: string) => settle(roomId, server))));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    isSettled = true;
  }

  return {
    rooms,
    homes,
    report,
    reportStats: report,
    get heardSince() {
      return heardSince;
    },
    isInTouch: (now) => heardSince !== null || now - checkedAt < checkedForMs,
    idle: queue.idle,

    judge: (roomId, mediaId, health) => write(roomId, () => participants.health(roomId, mediaId, health)),

    async load() {
      for (const roomId of await participants.occupied()) {
        await queue.add(roomId, async () => keep(await readRoom(db, roomId)));
      }
    },

    async check() {
      const occupied = [...new Set([...rooms.keys(), ...(await participants.occupied())])];
      try {
        const server = await media.get();
        const askedAt = Date.now();
        const there = new Set(await server.occupiedRooms());
        homes.forgetUnseenOutside(there, askedAt);
        await settleAll([...new Set([...occupied, ...(await known([...there]))])], server);
        lostSince = null;
        checkedAt = Date.now();
      } catch (error) {
        if (!(error instanceof MediaServerLostError)) throw error;
        lostSince ??= Date.now();
        if (Date.now() - lostSince >= goneAfterMs) await settleAll(occupied, null);
        onDoubt();
      }
    },

    async endSessions() {
      if (!isSettled) return;
      for (const roomId of await sessions.overdue()) {
        await queue.add(roomId, async () => keep(await sessions.endIfOver(roomId)));
      }
    },
  };
}
