import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import type { RoomClaims } from '../../src/auth/room-tokens.js';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createLogger } from '../../src/logger.js';
import { newMediaId } from '../../src/media/identity.js';
import { createMediaLink, type MediaLink } from '../../src/media/media-link.js';
import type { RtpTrack } from '../../src/media/media-server.js';
import { type Api, api } from '../testkit/api.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type TestRoom, testRoom } from '../testkit/room-tokens.js';
import { saidBy, signalling } from '../testkit/signalling.js';

interface Person {
  id: string;
  identity: string;
  name: string;
  leftAt: string | null;
  tracks: { mid: string; kind: string; muted: boolean }[];
}
interface Outcome {
  __typename: string;
  code?: string;
  participant?: Person;
}

/** Somebody comes in a second, or on a busy machine in some. */
const patience = { timeout: 30_000 };
const personFields = 'id identity name leftAt tracks { mid kind muted }';

let db: Database;
let media: MediaLink;
let owner: Api;
let projectId: string;
beforeAll(async () => {
  const { databaseUrl, mediaServer } = inject('stack');
  db = createDatabase(databaseUrl);
  media = createMediaLink({ address: mediaServer, log: createLogger({ ...loadConfig(), logLevel: 'silent' }, 'test') });
  projectId = await createProject(db);
  owner = api(await createKey(db, projectId));
});
afterAll(async () => {
  await media.close();
  await db.$disconnect();
});

async function remove(as: Api, participantId: string): Promise<Outcome> {
  const document = `mutation($id: ID!) { removeParticipant(input: { participantId: $id }) { __typename
    ... on RemoveParticipantPayload { participant { ${personFields} } } ... on Error { code message } } }`;
  return (await as.get<{ removeParticipant: Outcome }>(document, { id: participantId })).removeParticipant;
}

async function mute(as: Api, input: object): Promise<Outcome> {
  const document = `mutation($input: MuteParticipantInput!) { muteParticipant(input: $input) { __typename
    ... on MuteParticipantPayload { participant { ${personFields} } } ... on Error { code message } } }`;
  return (await as.get<{ muteParticipant: Outcome }>(document, { input })).muteParticipant;
}

async function people({ roomId }: TestRoom): Promise<Person[]> {
  const document = `query($id: ID!) { room(id: $id) { participants { nodes { ${personFields} } } } }`;
  type Found = { room: { participants: { nodes: Person[] } } };
  return (await owner.get<Found>(document, { id: encodeId('Room', roomId) })).room.participants.nodes;
}

/** Waits until somebody of that identity is seen by the API. */
async function seen(room: TestRoom, identity: string): Promise<Person> {
  await expect.poll(() => people(room), patience).toContainEqual(expect.objectContaining({ identity }));
  return (await people(room)).find((person) => person.identity === identity) as Person;
}

async function join(token: string) {
  const connection = await signalling(token);
  const handle = await connection.open();
  saidBy(await handle.say({ request: 'join', ptype: 'publisher' }));
  return connection;
}

const moderatorOf = async (room: TestRoom, claims: Partial<RoomClaims> = {}): Promise<Api> =>
  api(await room.token({ identity: 'mod', scopes: ['moderate'], ...claims }));

describe('somebody who is removed', () => {
  test('is out at once on every connection, and stays out with every token from before', async () => {
    const room = await testRoom(db, projectId);
    const [first, second] = [await room.token({ identity: 'eve' }), await room.token({ identity: 'eve' })];
    const [eve, ann] = [await join(first), await join(await room.token({ identity: 'ann' }))];
    // It has not joined: the media server knows nothing of it that could be put out.
    const listening = await signalling(second);
    await listening.open();
    const person = await seen(room, 'eve');
    expect(await remove(owner, person.id)).toMatchObject({ __typename: 'RemoveParticipantPayload' });
    expect([await eve.closed, await listening.closed]).toEqual([4403, 4403]);
    for (const token of [first, second]) {
      expect(await (await signalling(token)).closed).toBe(4403);
      expect((await api(token).send('{ __typename }')).status).toBe(401);
    }
    await expect.poll(async () => (await people(room)).map(({ identity }) => identity), patience).toEqual(['ann']);
    expect(await remove(owner, person.id)).toMatchObject({ code: 'NOT_FOUND' });

    const back = await join(await room.token({ identity: 'eve' }));
    expect((await seen(room, 'eve')).id).not.toBe(person.id);
    for (const each of [back, ann]) each.close();
  });

  test('is told of to who follows the room', async () => {
    const room = await testRoom(db, projectId);
    const eve = await join(await room.token({ identity: 'eve', name: 'Eve' }));
    const person = await seen(room, 'eve');
    const socket = await (await moderatorOf(room)).connect();
    await socket.init();
    const document = `subscription($id: ID!) { roomEvents(roomId: $id) { __typename
      ... on RoomEvent { participant { name } } ... on ParticipantRemoved { identity } } }`;
    socket.subscribe('1', document, { id: encodeId('Room', room.roomId) });
    await socket.next('1');
    await remove(await moderatorOf(room), person.id);
    const told = [await socket.next('1'), await socket.next('1')].map(({ payload }) => payload);
    expect(told).toEqual([
      { data: { roomEvents: { __typename: 'ParticipantRemoved', identity: 'eve', participant: { name: 'Eve' } } } },
      { data: { roomEvents: { __typename: 'ParticipantLeft', participant: { name: 'Eve' } } } },
    ]);
    await eve.closed;
    socket.close();
  });
});

describe('tracks that are stopped', () => {
  const tracks: RtpTrack[] = [
    { mid: '0', kind: 'AUDIO', codec: 'opus', source: 'microphone' },
    { mid: '1', kind: 'VIDEO', codec: 'h264', source: 'camera', h264Profile: '42e01f' },
  ];

  test('are those that were named, for everybody, until they are released', async () => {
    const room = await testRoom(db, projectId);
    const server = await media.get();
    const mediaId = newMediaId('ingest', 'obs');
    await server.publish(room.roomId, { mediaId, name: 'OBS', tracks });
    await expect.poll(async () => (await people(room))[0]?.tracks.length, patience).toBe(2);
    const [person] = (await people(room)) as [Person];
    const muted = async () => (await people(room))[0]?.tracks.map((track) => track.muted);

    const moderator = await moderatorOf(room);
    const done = { __typename: 'MuteParticipantPayload' };
    expect(await mute(moderator, { participantId: person.id, muted: true, kind: 'AUDIO' })).toMatchObject(done);
    await expect.poll(muted, patience).toEqual([true, false]);
    expect(await mute(owner, { participantId: person.id, muted: true, mid: '1' })).toMatchObject(done);
    await expect.poll(muted, patience).toEqual([true, true]);
    expect(await mute(moderator, { participantId: person.id, muted: false })).toMatchObject(done);
    await expect.poll(muted, patience).toEqual([false, false]);
    expect(await mute(owner, { participantId: person.id, muted: true, mid: '7' })).toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    expect(await mute(owner, { participantId: person.id, muted: true, mid: '0', kind: 'VIDEO' })).toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    expect(await remove(moderator, person.id)).toMatchObject({ __typename: 'RemoveParticipantPayload' });
    await expect.poll(() => people(room), patience).toEqual([]);
    expect(await mute(owner, { participantId: person.id, muted: true })).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('who may moderate', () => {
  test('is a token of that room with that scope, or a key that may change rooms', async () => {
    const [room, other] = [await testRoom(db, projectId), await testRoom(db, projectId)];
    const ann = await join(await room.token({ identity: 'ann' }));
    const person = await seen(room, 'ann');
    const elsewhere = [await moderatorOf(other), api(await createKey(db, await createProject(db)))];
    for (const as of elsewhere) {
      expect(await remove(as, person.id)).toMatchObject({ code: 'NOT_FOUND' });
      expect(await mute(as, { participantId: person.id, muted: true })).toMatchObject({ code: 'NOT_FOUND' });
    }
    const without = [
      await moderatorOf(room, { scopes: ['publish', 'subscribe'] }),
      api(await createKey(db, projectId, ['jobs:read', 'jobs:write'])),
    ];
    for (const as of without) {
      const { errors } = await as.send(
        'mutation($id: ID!) { removeParticipant(input: { participantId: $id }) { __typename } }',
        { id: person.id },
      );
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
    expect((await people(room)).map(({ identity }) => identity)).toEqual(['ann']);
    for (const id of ['x', encodeId('Room', room.roomId), encodeId('Participant', room.roomId)])
      expect(await remove(owner, id)).toMatchObject({ code: 'NOT_FOUND' });
    ann.close();
  });
});
