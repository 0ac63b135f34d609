/** Rooms: places where people meet live. */
import type { Logger } from 'pino';
import { v7 as uuid } from 'uuid';
import type { RoomScope, RoomTokens } from '../auth/room-tokens.js';
import type { Viewer } from '../auth/viewer.js';
import type { Config } from '../config.js';
import type { Database, Transaction } from '../db.js';
import { appendRoomEvent, eventsChannel, lockRoom, type Wake } from '../events/outbox.js';
import type { Participant, Prisma, Room } from '../generated/prisma/client.js';
import type { MediaLink } from '../media/media-link.js';
import type { RoomEventPayload } from '../rooms/events.js';
import { NotFoundError, ValidationError } from './errors.js';
import { type Ingest, ingestOf } from './ingest-urls.js';
import { type PageQuery, withoutCursor } from './job-pages.js';
import {
  type EnsureRoom,
  ensureRule,
  newStreamKey,
  randomIdentity,
  roomName,
  type TokenWish,
  tokenRule,
  type UpdateRoom,
  updateRule,
  usualTokenSeconds,
} from './room-input.js';
import { parsed } from './sources.js';
import { visibleParticipants, visibleRooms } from './visibility.js';

export type Rooms = ReturnType<typeof createRooms>;

export interface IssuedToken {
  roomId: string;
  token: string;
  identity: string;
  expiresAt: Date;
}

const noSuchRoom = 'There is no such room in this project. Check its id, or make it with ensureRoom.';
/** Twenty who make the same room wait for one; on a busy machine that takes longer than the 2 s and 5 s that are usual. */
const patience = { maxWait: 10_000, timeout: 10_000 };
const usualScopes: readonly RoomScope[] = ['publish', 'subscribe'];

export function createRooms(deps: {
  db: Database;
  wake: Wake;
  tokens: RoomTokens;
  media: MediaLink;
  config: Pick<Config, 'publicUrl' | 'media'>;
  log: Logger;
}) {
  const { db, wake, tokens, media, config, log } = deps;

  const tell = (transaction: Transaction, { id: roomId, projectId }: Room, payload: RoomEventPayload) =>
    appendRoomEvent(transaction, { projectId, roomId, sessionId: null }, payload);

  /** Changes a room of the viewer's under its lock. Throws NotFoundError. */
  async function change(
    roomId: string,
    viewer: Viewer,
    act: (transaction: Transaction, room: Room) => Promise<unknown>,
  ): Promise<void> {
    await db.$transaction(async (transaction) => {
      const room = await lockRoom(transaction, roomId);
      if (!room || room.deletedAt || room.projectId !== viewer.projectId || viewer.kind !== 'key')
        throw new NotFoundError(noSuchRoom);
      await act(transaction, room);
    }, patience);
    wake(eventsChannel);
  }

  async function make(wish: ReturnType<typeof ensureRule.parse>, viewer: Viewer): Promise<string | null> {
    const { projectId } = viewer;
    return db.$transaction(async (transaction) => {
      const [room] = await transaction.room.createManyAndReturn({
        data: [
          {
            ...{ id: uuid(), projectId, name: wish.name, record: wish.record, streamKey: newStreamKey() },
            profiles: wish.profiles as unknown as Prisma.InputJsonArray,
            recordingSpec: wish.recordingSpec as unknown as Prisma.InputJsonObject,
            userId: viewer.kind === 'key' ? viewer.keyId : null,
          },
        ],
        skipDuplicates: true,
      });
      if (!room) return null;
      await tell(transaction, room, { type: 'RoomUpdated' });
      return room.id;
    }, patience);
  }

  const idOf = async (name: string, { projectId }: Viewer): Promise<string | null> => {
    const named = { projectId_name_deletedKey: { projectId, name, deletedKey: '' } };
    return (await db.room.findUnique({ where: named, select: { id: true } }))?.id ?? null;
  };

  async function issue(
    roomId: string,
    wish: { identity: string; name: string; scopes: readonly RoomScope[]; seconds: number },
    viewer: Viewer,
  ): Promise<IssuedToken> {
    const { identity, name, scopes, seconds } = wish;
    const wanted = Date.now() + seconds * 1_000;
    // No credentials give longer than they last themselves.
    const limit = viewer.kind === 'key' && viewer.expiresAt ? viewer.expiresAt.getTime() : wanted;
    const expiresAt = new Date(Math.floor(Math.min(wanted, limit) / 1_000) * 1_000);
    const claims = { roomId, projectId: viewer.projectId, identity, name, scopes, expiresAt };
    return { roomId, identity, expiresAt, token: await tokens.sign({ ...claims, hidden: [], recorder: false }) };
  }

  return {
    /** `query` is a Prisma selection. Null for what is not there or not the viewer's; a job's own token sees the job's room. */
    find: (query: object, id: string, viewer: Viewer): Promise<Room | null> =>
      db.room.findFirst({ ...query, where: { AND: [visibleRooms(viewer), { id }] } }),

    async findByName(query: object, name: string, viewer: Viewer): Promise<Room | null> {
      const written = roomName.safeParse(name);
      if (!written.success) return null;
      return db.room.findFirst({
        ...query,
        where: { AND: [visibleRooms(viewer), { name: written.data, deletedAt: null }] },
      });
    },

    /** Newest first. */
    list(page: PageQuery, viewer: Viewer): Promise<Room[]> {
      const { query, ids } = withoutCursor(page, {});
      return db.room.findMany({
        ...query,
        where: { AND: [visibleRooms(viewer), { id: ids }] },
        orderBy: { id: 'desc' },
      });
    },

    count: (viewer: Viewer): Promise<number> => db.room.count({ where: visibleRooms(viewer) }),

    findParticipant: (query: object, id: string, viewer: Viewer): Promise<Participant | null> =>
      db.participant.findFirst({ ...query, where: { AND: [visibleParticipants(viewer), { id }] } }),

    /**
     * The room of that name, which is made with these settings when there is none; one that is there stays as it is. With a
     * token for somebody new who may publish and subscribe for a day. Throws ValidationError.
     */
    async ensure(input: EnsureRoom, viewer: Viewer): Promise<IssuedToken> {
      const wish = parsed(ensureRule, input);
      let roomId = await idOf(wish.name, viewer);
      while (roomId === null) {
        roomId = await make(wish, viewer);
        if (roomId !== null) wake(eventsChannel);
        // Somebody else was faster, and may have deleted it again by now.
        else roomId = await idOf(wish.name, viewer);
      }
      const guest = { identity: randomIdentity(), name: 'Guest', scopes: usualScopes, seconds: usualTokenSeconds };
      return issue(roomId, guest, viewer);
    },

    /** What is not given stays as it is. Throws ValidationError, NotFoundError. */
    async update(roomId: string, input: UpdateRoom, viewer: Viewer): Promise<{ roomId: string }> {
      const { name, record, profiles, recordingSpec } = parsed(updateRule, input);
      await change(roomId, viewer, async (transaction, room) => {
        const { projectId } = viewer;
        if (name != null && name !== room.name) {
          const taken = await transaction.room.count({ where: { projectId, name, deletedKey: '' } });
          if (taken) throw nameTaken(name);
        }
        const data = {
          ...(name == null ? {} : { name }),
          ...(record == null ? {} : { record }),
          ...(profiles == null ? {} : { profiles: profiles as unknown as Prisma.InputJsonArray }),
          ...(recordingSpec == null ? {} : { recordingSpec: recordingSpec as unknown as Prisma.InputJsonObject }),
        };
        if (Object.keys(data).length === 0) return;
        const changed = await transaction.room.update({ where: { id: roomId }, data }).catch((error) => {
          // Somebody took it between the question and the change.
          throw (error as { code?: string }).code === 'P2002' ? nameTaken(name as string) : error;
        });
        await tell(transaction, changed, { type: 'RoomUpdated' });
      });
      return { roomId };
    },

    /**
     * Ends a room for good; its name can be used again. Everybody in it is put out, tokens for it are good for nothing any more,
     * what is being recorded of it ends by itself. Throws NotFoundError.
     */
    async remove(roomId: string, viewer: Viewer): Promise<{ roomId: string }> {
      await change(roomId, viewer, async (transaction, room) => {
        await tell(transaction, room, { type: 'RoomDeleted' });
        await transaction.room.update({ where: { id: roomId }, data: { deletedAt: new Date(), deletedKey: roomId } });
      });
      // Browsers are put out by the event as well. A media server that is away has nobody in it.
      await media
        .get()
        .then((server) => server.closeRoom(roomId))
        .catch((error: unknown) => log.warn({ err: error, roomId }, 'a deleted room could not be closed'));
      return { roomId };
    },

    /** A token for the room. Throws ValidationError, NotFoundError. */
    async createToken(roomId: string, input: TokenWish, viewer: Viewer): Promise<IssuedToken> {
      const { scopes, identity, name, expiresIn } = parsed(tokenRule, input);
      if (viewer.kind !== 'key' || !(await db.room.count({ where: { AND: [visibleRooms(viewer), { id: roomId }] } })))
        throw new NotFoundError(noSuchRoom);
      const own = viewer.expiresAt;
      if (own && expiresIn != null && Date.now() + expiresIn * 1_000 > own.getTime()) {
        const message = `Your credentials expire at ${own.toISOString()}, and cannot give longer than they last. Use less.`;
        throw new ValidationError([{ field: 'expiresIn', message }]);
      }
      const who = identity ?? randomIdentity();
      return issue(
        roomId,
        {
          ...{ identity: who, name: name ?? who, seconds: expiresIn ?? usualTokenSeconds },
          scopes: [...new Set(scopes ?? usualScopes)],
        },
        viewer,
      );
    },

    ingest: ({ streamKey }: Pick<Room, 'streamKey'>): Ingest => ingestOf(config, streamKey),

    /** From now on encoders need the new key. Throws NotFoundError. */
    async resetStreamKey(roomId: string, viewer: Viewer): Promise<{ roomId: string }> {
      await change(roomId, viewer, async (transaction) => {
        const data = { streamKey: newStreamKey() };
        await tell(transaction, await transaction.room.update({ where: { id: roomId }, data }), {
          type: 'RoomUpdated',
        });
      });
      return { roomId };
    },
  };
}

const nameTaken = (name: string): ValidationError =>
  new ValidationError([{ field: 'name', message: `Another room is called "${name}". Choose another name.` }]);
