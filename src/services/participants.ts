/** Who is in which room and what they publish, as the media server says: written once, however often it is said. */
import { v7 as uuid } from 'uuid';
import type { Database } from '../db.js';
import type { ParticipantKind, Prisma } from '../generated/prisma/client.js';
import { isVisible, type MediaKind, parseMediaId } from '../media/identity.js';
import type { MediaParticipant, MediaTrack } from '../media/media-server.js';
import type { ParticipantTrack } from '../rooms/events.js';
import type { LiveSessions } from './live-sessions.js';
import {
  type ChangeRoom,
  isPublishing,
  type LockedRoom,
  type Participant,
  participantOf,
  type RoomNow,
  readRoom,
} from './room-changes.js';

/** How what somebody publishes arrives. */
export interface Health {
  /** Null while it is not known. */
  isHealthy: boolean | null;
  /** What is wrong, in words. */
  issues: string[];
}

const kinds: Partial<Record<MediaKind, ParticipantKind>> = { browser: 'BROWSER', ingest: 'INGEST', render: 'RENDER' };
const unknownHealth: Health = { isHealthy: null, issues: [] };

export type Participants = ReturnType<typeof createParticipants>;

/** Everything answers the room afterwards; null when there is none. Participants that nobody sees are nobody's business here. */
export function createParticipants(deps: { db: Database; change: ChangeRoom; sessions: LiveSessions }) {
  const { db, change, sessions } = deps;

  async function write(
    { transaction, present }: LockedRoom,
    participant: Participant,
    data: Prisma.ParticipantUncheckedUpdateInput,
  ): Promise<Participant> {
    const written = participantOf(await transaction.participant.update({ where: { id: participant.id }, data }));
    const index = present.findIndex(({ id }) => id === written.id);
    if (written.leftAt) present.splice(index, index < 0 ? 0 : 1);
    else if (index < 0) present.push(written);
    else present[index] = written;
    return written;
  }

  async function enter(locked: LockedRoom, mediaId: string, name: string): Promise<Participant | null> {
    const { transaction, room, present, now } = locked;
    const there = present.find((each) => each.mediaId === mediaId);
    // Nobody is let into a deleted room; who is still there is about to be removed.
    if (there || room.deletedAt) return there ?? null;
    const parsed = parseMediaId(mediaId);
    const kind = parsed && kinds[parsed.kind];
    if (!kind) return null;
    const gone = await transaction.participant.findUnique({ where: { mediaId } });
    let participant: Participant;
    if (gone) {
      // It was taken to have left when the media server was lost.
      participant = await write(locked, participantOf(gone), { leftAt: null });
    } else {
      const { projectId, id: roomId } = room;
      const { identity } = parsed;
      participant = participantOf(
        await transaction.participant.create({
          data: { id: uuid(), projectId, roomId, mediaId, kind, identity, name, issues: [], joinedAt: now },
        }),
      );
      present.push(participant);
    }
    await locked.tell({ type: 'ParticipantJoined', participantId: participant.id, identity: parsed.identity, name });
    return participant;
  }

  async function publish(locked: LockedRoom, { mediaId, name, tracks }: MediaParticipant): Promise<void> {
    const participant = await enter(locked, mediaId, name);
    if (!participant) return;
    const published = withMutes(tracks, participant.tracks);
    if (isSame(published, participant.tracks)) return;
    if (published.length === 0) return unpublish(locked, participant);
    const session = await sessions.enter(locked);
    await write(locked, participant, {
      tracks: published as unknown as Prisma.InputJsonArray,
      sessionId: session.id,
      publishedAt: participant.publishedAt ?? locked.now,
    });
    await locked.tell({ type: 'ParticipantTracksChanged', participantId: participant.id, tracks: published });
  }

  async function unpublish(locked: LockedRoom, participant: Participant): Promise<void> {
    await sessions.see(locked);
    await write(locked, participant, { tracks: [], ...unknownHealth });
    await locked.tell({ type: 'ParticipantTracksChanged', participantId: participant.id, tracks: [] });
  }

  async function leave(locked: LockedRoom, participant: Participant): Promise<void> {
    await write(locked, participant, { leftAt: locked.now, tracks: [], ...unknownHealth });
    await locked.tell({ type: 'ParticipantLeft', participantId: participant.id });
  }

  const ofPresent = (roomId: string, mediaId: string, act: (locked: LockedRoom, one: Participant) => Promise<void>) =>
    change(roomId, async (locked) => {
      const participant = locked.present.find((each) => each.mediaId === mediaId);
      if (participant) await act(locked, participant);
    });

  return {
    joined: (roomId: string, mediaId: string, name: string) =>
      change(roomId, async (locked) => void (await enter(locked, mediaId, name))),

    /** All tracks of a participant. The first in a room begins its session. */
    published: (roomId: string, participant: MediaParticipant) =>
      change(roomId, (locked) => publish(locked, participant)),

    unpublished: (roomId: string, mediaId: string) =>
      ofPresent(roomId, mediaId, async (locked, participant) => {
        if (isPublishing(participant)) await unpublish(locked, participant);
      }),

    left: (roomId: string, mediaId: string) =>
      ofPresent(roomId, mediaId, async (locked, participant) => {
        if (isPublishing(participant)) await sessions.see(locked);
        await leave(locked, participant);
      }),

    muted: (roomId: string, mediaId: string, mid: string, muted: boolean) =>
      ofPresent(roomId, mediaId, async (locked, participant) => {
        const tracks = participant.tracks.map((track) => (track.mid === mid ? { ...track, muted } : track));
        if (isSame(tracks, participant.tracks)) return;
        await write(locked, participant, { tracks: tracks as unknown as Prisma.InputJsonArray });
        await locked.tell({ type: 'ParticipantTracksChanged', participantId: participant.id, tracks });
      }),

    /** Told only when it is another than before. */
    health: (roomId: string, mediaId: string, health: Health) =>
      ofPresent(roomId, mediaId, async (locked, participant) => {
        if (!isPublishing(participant) || isSameHealth(participant, health)) return;
        await write(locked, participant, { ...health });
        await locked.tell({ type: 'ParticipantHealthChanged', participantId: participant.id, ...health });
      }),

    /**
     * Makes a room what the media server says that it is: `there` are all who are in it, whatever was heard or missed before.
     * Who is not there any more left at a time that nobody knows: the session was last seen when it was last seen.
     */
    async settle(roomId: string, there: readonly MediaParticipant[]): Promise<RoomNow | null> {
      const seen = there.filter(({ mediaId }) => isVisible(mediaId));
      const before = await readRoom(db, roomId);
      // A look every few seconds must not lock every room.
      if (before && isAsSeen(before, seen)) return before;
      return change(roomId, async (locked) => {
        const gone = locked.present.filter(({ mediaId }) => !seen.some((each) => each.mediaId === mediaId));
        for (const participant of gone) await leave(locked, participant);
        for (const participant of seen) await publish(locked, participant);
      });
    },

    /** Rooms that somebody is in, or that are live, as the database has it. */
    async occupied(): Promise<string[]> {
      const rows = await db.$queryRaw<{ room_id: string }[]>`
        SELECT room_id FROM participant WHERE left_at IS NULL UNION SELECT room_id FROM session WHERE ended_at IS NULL`;
      return rows.map(({ room_id }) => room_id);
    },
  };
}

/** What the media server does not tell with the tracks: which of them a moderator stopped. */
const withMutes = (tracks: readonly MediaTrack[], before: readonly ParticipantTrack[]): ParticipantTrack[] =>
  tracks.map(({ mid, kind, codec, source }) => {
    const muted = before.some((track) => track.mid === mid && track.kind === kind && track.muted);
    return { mid, kind, codec, source, muted };
  });

function isAsSeen({ present }: RoomNow, seen: readonly MediaParticipant[]): boolean {
  return (
    present.length === seen.length &&
    seen.every(({ mediaId, tracks }) => {
      const participant = present.find((each) => each.mediaId === mediaId);
      return participant && isSame(withMutes(tracks, participant.tracks), participant.tracks);
    })
  );
}

const isSame = (one: readonly ParticipantTrack[], other: readonly ParticipantTrack[]): boolean =>
  one.length === other.length &&
  one.every((track) =>
    other.some(
      ({ mid, kind, codec, source, muted }) =>
        track.mid === mid &&
        track.kind === kind &&
        track.codec === codec &&
        track.source === source &&
        track.muted === muted,
    ),
  );

export const isSameHealth = (one: Health, other: Health): boolean =>
  one.isHealthy === other.isHealthy &&
  one.issues.length === other.issues.length &&
  one.issues.every((issue, index) => issue === other.issues[index]);
