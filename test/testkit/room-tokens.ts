/** Rooms made as a client makes them, and tokens for them with just what a test is about. */
import { uuidFrom } from '../../schema/ids.js';
import { createRoomTokens, type RoomClaims } from '../../src/auth/room-tokens.js';
import type { Database } from '../../src/db.js';
import type { Api } from './api.js';
import { createRoom } from './jobs.js';

/** A token for the room, good for five minutes unless told otherwise; of its own signer, as another replica would make it. */
function roomToken(
  db: Database,
  { roomId, projectId }: { roomId: string; projectId: string },
  claims: Partial<RoomClaims> = {},
): Promise<string> {
  return createRoomTokens(db).sign({
    ...{ roomId, projectId, identity: 'ann', name: 'Ann', scopes: ['publish', 'subscribe'], hidden: [] },
    ...{ recorder: false, expiresAt: new Date(Date.now() + 300_000), ...claims },
  });
}

export interface TestRoom {
  projectId: string;
  roomId: string;
  /** See roomToken. */
  token(claims?: Partial<RoomClaims>): Promise<string>;
}

export async function testRoom(db: Database, projectId: string): Promise<TestRoom> {
  const roomId = await createRoom(db, projectId);
  const room = { projectId, roomId };
  return { ...room, token: (claims) => roomToken(db, room, claims) };
}

/** A room as a client makes it: its global id, and that of its row. */
export async function ensuredRoom(client: Pick<Api, 'get'>, name: string): Promise<{ id: string; roomId: string }> {
  const { ensureRoom } = await client.get<{ ensureRoom: { room: { id: string } } }>(
    'mutation($input: EnsureRoomInput!) { ensureRoom(input: $input) { ... on EnsureRoomPayload { room { id } } } }',
    { input: { name } },
  );
  const { id } = ensureRoom.room;
  return { id, roomId: uuidFrom(id, ['Room'], 'room') };
}
