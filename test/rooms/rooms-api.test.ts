import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { decodeId, encodeId } from '../../schema/ids.js';
import { createRoomTokens } from '../../src/auth/room-tokens.js';
import type { Scope } from '../../src/auth/viewer.js';
import { createDatabase, type Database } from '../../src/db.js';
import { defaultProfiles } from '../../src/rooms/profiles.js';
import { type Api, api, type Socket } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { createSession } from '../testkit/stats.js';

interface Ensured {
  __typename: string;
  room: { id: string; [field: string]: unknown };
  sessionId: string;
  token: string;
  apiKey: string;
  issues: { field: string; message: string }[];
}

const roomFields = `id name record createdAt sessionId apiKey profiles { name fps bitrate width height }
  recordingSpec { profiles { name width height bitrate quality fps fpsDen gop profile encoder } }`;
const ensureDocument = `mutation($input: EnsureRoomInput!) { ensureRoom(input: $input) { __typename
  ... on EnsureRoomPayload { room { ${roomFields} } sessionId token apiKey }
  ... on ValidationError { issues { field message } } } }`;

const ensure = async (as: Api, input: object): Promise<Ensured> =>
  (await as.get<{ ensureRoom: Ensured }>(ensureDocument, { input })).ensureRoom;

const checked = ['updateRoom', 'createRoomToken'];
const issues = '... on ValidationError { issues { field message } }';

/** A mutation with one input; answers its result with these fields, and the issues or code of a failure. */
async function mutate<Result>(as: Api, field: string, input: object, selection: string): Promise<Result> {
  const type = field[0]?.toUpperCase() + field.slice(1);
  const document = `mutation($input: ${type}Input!) { ${field}(input: $input) { __typename
    ... on ${type}Payload { ${selection} } ... on Error { code message } ${checked.includes(field) ? issues : ''} } }`;
  return (await as.get<Record<string, Result>>(document, { input }))[field] as Result;
}

let db: Database;
let projectId: string;
let owner: Api;
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  projectId = await createProject(db);
  owner = api(await createKey(db, projectId));
});
afterAll(() => db.$disconnect());

describe('a room by its name', () => {
  test('is made with everything a page needs to join it', async () => {
    const { room, sessionId, token, apiKey } = await ensure(owner, { name: '  Grand Hall \u0041\u030a ' });
    expect(room).toEqual({
      ...{ id: expect.any(String), name: 'Grand Hall Å', record: false, createdAt: expect.any(String) },
      ...{ sessionId: room.id, apiKey: encodeId('Project', projectId), profiles: defaultProfiles },
      recordingSpec: {
        profiles: [
          {
            ...{ name: '720p', width: 1280, height: 720, bitrate: 3_000_000, quality: 23, fps: 30, fpsDen: 1, gop: 2 },
            ...{ profile: 'H264_BASELINE', encoder: 'H264' },
          },
        ],
      },
    });
    expect([sessionId, apiKey]).toEqual([room.id, encodeId('Project', projectId)]);
    expect((await api(apiKey).send('{ viewer { scopes } }')).status).toBe(401);
    const claims = await createRoomTokens(db).verify(token);
    expect(claims).toMatchObject({
      ...{ roomId: decodeId(room.id)?.id, projectId, scopes: ['publish', 'subscribe'], hidden: [], recorder: false },
      identity: expect.stringMatching(/^guest-[0-9a-f]{12}$/),
    });
    const { expiresAt, issuedAt } = claims as { expiresAt: Date; issuedAt: Date };
    expect((expiresAt.getTime() - issuedAt.getTime()) / 1_000).toBeCloseTo(86_400, -1);
  });

  test('is the same the next time, for somebody new, and stays as it was made', async () => {
    const first = await ensure(owner, { name: 'again', record: true });
    const second = await ensure(owner, { name: ' again', record: false, profiles: [rung('tiny')] });
    expect(second.room).toEqual(first.room);
    expect(second.room.record).toBe(true);
    const [one, other] = await Promise.all([first, second].map(({ token }) => createRoomTokens(db).verify(token)));
    expect((one as { identity: string }).identity).not.toBe((other as { identity: string }).identity);
  });

  test('is one room, however many ask for it at once, of several replicas', async () => {
    const replica: Replica = await startReplica(inject('stack').databaseUrl);
    try {
      const elsewhere = api(owner.token as string, replica.url);
      const asked = Array.from({ length: 20 }, (_, index) => ensure(index % 2 ? owner : elsewhere, { name: 'rush' }));
      const answers = await Promise.all(asked);
      expect(new Set(answers.map(({ room }) => room.id)).size).toBe(1);
      expect(new Set(answers.map(({ token }) => token)).size).toBe(20);
      const roomId = decodeId(answers[0]?.room.id as string)?.id as string;
      expect(await db.event.count({ where: { roomId } })).toBe(1);
    } finally {
      await replica.close();
    }
  });

  test('is another one in another project', async () => {
    const stranger = api(await createKey(db, await createProject(db)));
    const [mine, theirs] = [await ensure(owner, { name: 'shared' }), await ensure(stranger, { name: 'shared' })];
    expect(mine.room.id).not.toBe(theirs.room.id);
    const find = 'query($id: ID, $name: String) { room(id: $id, name: $name) { id } }';
    expect(await stranger.get(find, { id: mine.room.id })).toEqual({ room: null });
    expect(await owner.get(find, { name: ' shared ' })).toEqual({ room: { id: mine.room.id } });
    expect(await owner.get(find, { id: mine.room.id })).toEqual({ room: { id: mine.room.id } });
    expect((await owner.send(find)).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    expect((await owner.send(find, { id: 'x', name: 'y' })).errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  });

  const rung = (name: string, changed: object = {}) => ({
    ...{ name, width: 320, height: 240, bitrate: 100_000, ...changed },
  });
  test.each<[string, object, string]>([
    ['an empty name', { name: '' }, 'name'],
    ['a blank name', { name: '   ' }, 'name'],
    ['a name of 201 characters', { name: 'x'.repeat(201) }, 'name'],
    ['a name with control characters', { name: 'a\u0000b' }, 'name'],
    ['no renditions', { name: 'bad', profiles: [] }, 'profiles'],
    ['seven renditions', { name: 'bad', profiles: [...'abcdefg'].map((each) => rung(each)) }, 'profiles'],
    ['two renditions of one name', { name: 'bad', profiles: [rung('a'), rung('a')] }, 'profiles'],
    ['an odd width', { name: 'bad', profiles: [rung('a', { width: 321 })] }, 'profiles.0.width'],
    ['a name that is a path', { name: 'bad', profiles: [rung('../a')] }, 'profiles.0.name'],
    ['a tiny bitrate', { name: 'bad', profiles: [rung('a', { bitrate: 1 })] }, 'profiles.0.bitrate'],
    ['no recording profile', { name: 'bad', recordingSpec: { profiles: [] } }, 'recordingSpec.profiles'],
    [
      'a recording that is too small',
      { name: 'bad', recordingSpec: { profiles: [rung('a', { width: 160 })] } },
      'recordingSpec.profiles.0.width',
    ],
    [
      'an endless group of pictures',
      { name: 'bad', recordingSpec: { profiles: [rung('a', { gop: 60 })] } },
      'recordingSpec.profiles.0.gop',
    ],
  ])('is not made with %s', async (_what, input, field) => {
    const answer = await ensure(owner, input);
    expect(answer.__typename).toBe('ValidationError');
    expect(answer.issues.map((issue) => issue.field)).toContain(field);
    expect(await db.room.count({ where: { projectId, name: 'bad' } })).toBe(0);
  });
});

describe('a room that is there', () => {
  test('is changed as asked, and nothing else of it', async () => {
    const { room } = await ensure(owner, { name: 'draft', record: true });
    const changed = await mutate(owner, 'updateRoom', { roomId: room.id, name: 'final' }, `room { ${roomFields} }`);
    expect(changed).toEqual({ __typename: 'UpdateRoomPayload', room: { ...room, name: 'final' } });
    expect((await ensure(owner, { name: 'draft' })).room.id).not.toBe(room.id);
    expect((await ensure(owner, { name: 'final' })).room.id).toBe(room.id);
  });

  test('cannot have the name of another, nor two take one name at once', async () => {
    await ensure(owner, { name: 'taken' });
    const rooms = await Promise.all(['r1', 'r2', 'r3'].map((name) => ensure(owner, { name })));
    const [one] = rooms as [Ensured];
    const refused = { __typename: 'ValidationError', issues: [{ field: 'name' }] };
    expect(await mutate(owner, 'updateRoom', { roomId: one.room.id, name: 'taken' }, 'room { id }')).toMatchObject(
      refused,
    );
    const answers = await Promise.all(
      rooms.map(({ room }) =>
        mutate<{ __typename: string }>(owner, 'updateRoom', { roomId: room.id, name: 'wanted' }, 'room { id }'),
      ),
    );
    expect(answers.map(({ __typename }) => __typename).sort()).toEqual([
      'UpdateRoomPayload',
      'ValidationError',
      'ValidationError',
    ]);
  });

  test('is gone when it is deleted, with its tokens; its name is free, what was recorded of it is kept', async () => {
    const { room, token } = await ensure(owner, { name: 'short-lived' });
    const roomId = decodeId(room.id)?.id as string;
    const jobId = await createJobRow(db, projectId, 'COMPLETE', { roomId });
    const ask = () => mutate(owner, 'deleteRoom', { roomId: room.id }, 'roomId');
    expect(await ask()).toEqual({ __typename: 'DeleteRoomPayload', roomId: room.id });
    expect(await ask()).toMatchObject({ code: 'NOT_FOUND' });
    const found = await owner.get(
      'query($id: ID!, $job: ID!) { room(id: $id) { id } node(id: $id) { id } job(id: $job) { id room { name } } }',
      {
        ...{ id: room.id, job: encodeId('Job', jobId) },
      },
    );
    expect(found).toEqual({ room: null, node: null, job: { id: expect.any(String), room: { name: 'short-lived' } } });
    expect((await api(token).send('{ __typename }')).status).toBe(401);
    expect((await ensure(owner, { name: 'short-lived' })).room.id).not.toBe(room.id);
    for (const [field, input] of [
      ['updateRoom', { record: true }],
      ['createRoomToken', {}],
      ['resetStreamKey', {}],
    ] as const)
      expect(await mutate(owner, field, { roomId: room.id, ...input }, 'room { id }')).toMatchObject({
        code: 'NOT_FOUND',
      });
  });

  test('says where encoders publish, to whom may change it; the key can be replaced', async () => {
    const { room } = await ensure(owner, { name: 'ingest' });
    const document = 'query($id: ID!) { room(id: $id) { name ingest { rtmpUrl srtUrl streamKey } } }';
    type Found = { room: { ingest: { rtmpUrl: string; srtUrl: string; streamKey: string } } };
    const { ingest } = (await owner.get<Found>(document, { id: room.id })).room;
    expect(ingest.streamKey).toMatch(/^[0-9a-f]{32}$/);
    expect(ingest.rtmpUrl).toMatch(new RegExp(`^rtmp://127\\.0\\.0\\.1:\\d+/live/${ingest.streamKey}$`));
    expect(ingest.srtUrl).toMatch(
      new RegExp(`^srt://127\\.0\\.0\\.1:\\d+\\?streamid=publish:live/${ingest.streamKey}&pkt_size=1316$`),
    );
    const reader = await api(await createKey(db, projectId, ['jobs:read'])).send(document, { id: room.id });
    expect(reader.data).toEqual({ room: { name: 'ingest', ingest: null } });
    expect(reader.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const reset = await mutate<Found>(owner, 'resetStreamKey', { roomId: room.id }, 'room { ingest { streamKey } }');
    expect(reset.room.ingest.streamKey).toMatch(/^[0-9a-f]{32}$/);
    expect(reset.room.ingest.streamKey).not.toBe(ingest.streamKey);
  });

  test('is listed with the others of its project, newest first, page by page', async () => {
    const lister = api(await createKey(db, await createProject(db)));
    for (const name of ['a', 'b', 'c']) await ensure(lister, { name });
    const document =
      'query($after: String) { rooms(first: 2, after: $after) { totalCount nodes { name } pageInfo { endCursor hasNextPage } } }';
    type Page = { rooms: { nodes: { name: string }[]; pageInfo: { endCursor: string } } };
    const { rooms } = await lister.get<Page>(document);
    expect(rooms).toMatchObject({
      totalCount: 3,
      nodes: [{ name: 'c' }, { name: 'b' }],
      pageInfo: { hasNextPage: true },
    });
    const next = await lister.get<Page>(document, { after: rooms.pageInfo.endCursor });
    expect(next.rooms).toMatchObject({ nodes: [{ name: 'a' }], pageInfo: { hasNextPage: false } });
  });

  test('has its sessions, the last live first, and who is in it or was', async () => {
    const { roomId, sessionId } = await createSession(db, projectId);
    const person = { projectId, roomId, kind: 'BROWSER' as const, identity: 'ann', tracks: [track] };
    const at = new Date('2026-01-01');
    await db.participant.createMany({
      data: [
        { id: crypto.randomUUID(), mediaId: crypto.randomUUID(), ...person, name: 'Ann' },
        { id: crypto.randomUUID(), mediaId: crypto.randomUUID(), ...person, name: 'Ben', leftAt: at },
      ],
    });
    const older = { projectId, roomId, record: true, endedAt: at, lastSeenAt: at, createdAt: at };
    await db.session.create({ data: { id: crypto.randomUUID(), playbackId: crypto.randomUUID(), ...older } });
    const document = `query($id: ID!) { room(id: $id) { session { id }
      sessions { totalCount nodes { id } } recorded: sessions(record: true) { totalCount }
      participants { totalCount nodes { name kind identity joinedAt leftAt isHealthy issues tracks { mid kind codec source muted } } }
      gone: participants(present: false) { nodes { name leftAt } } } }`;
    const { room } = await owner.get<{ room: { sessions: { nodes: { id: string }[] } } }>(document, {
      id: encodeId('Room', roomId),
    });
    expect(room).toMatchObject({
      session: { id: encodeId('Session', sessionId) },
      ...{ sessions: { totalCount: 2 }, recorded: { totalCount: 1 } },
      participants: {
        totalCount: 1,
        nodes: [{ name: 'Ann', kind: 'BROWSER', identity: 'ann', leftAt: null, tracks: [track] }],
      },
      gone: { nodes: [{ name: 'Ben', leftAt: at.toISOString() }] },
    });
    expect(room.sessions.nodes[0]?.id).toBe(encodeId('Session', sessionId));
  });
  const track = { mid: '0', kind: 'AUDIO', codec: 'opus', source: 'microphone', muted: false };
});

describe('tokens for a room', () => {
  interface Issued {
    token: string;
    identity: string;
    expiresAt: string;
    code?: string;
    issues?: { field: string }[];
  }
  const issue = (as: Api, input: object) =>
    mutate<Issued>(as, 'createRoomToken', input, 'token identity expiresAt room { id }');

  test('say what was asked for', async () => {
    const { room } = await ensure(owner, { name: 'tokens' });
    const wish = {
      roomId: room.id,
      scopes: ['SUBSCRIBE', 'MODERATE'],
      identity: 'mod-1',
      name: ' Mod ',
      expiresIn: 2_592_000,
    };
    const { token, identity, expiresAt } = await issue(owner, wish);
    expect(identity).toBe('mod-1');
    expect(await createRoomTokens(db).verify(token)).toMatchObject({
      ...{ scopes: ['subscribe', 'moderate'], identity: 'mod-1', name: 'Mod', expiresAt: new Date(expiresAt) },
    });
    const usual = await issue(owner, { roomId: room.id });
    expect(await createRoomTokens(db).verify(usual.token)).toMatchObject({
      ...{ scopes: ['publish', 'subscribe'], identity: usual.identity, name: usual.identity },
    });
  });

  test.each([
    ['no scopes', { scopes: [] }, 'scopes'],
    ['an identity that cannot be one', { identity: 'a.b' }, 'identity'],
    ['an identity of 65 characters', { identity: 'x'.repeat(65) }, 'identity'],
    ['an empty name', { name: ' ' }, 'name'],
    ['a name with line breaks', { name: 'a\nb' }, 'name'],
    ['no time', { expiresIn: 0 }, 'expiresIn'],
    ['more than 30 days', { expiresIn: 2_592_001 }, 'expiresIn'],
  ])('are not made with %s', async (_what, input, field) => {
    const { room } = await ensure(owner, { name: 'tokens' });
    expect((await issue(owner, { roomId: room.id, ...input })).issues).toMatchObject([{ field }]);
  });

  test('do not outlast the key that made them', async () => {
    const { room } = await ensure(owner, { name: 'tokens' });
    const key = await createKey(db, projectId);
    const expiresAt = new Date(Math.floor(Date.now() / 1000) * 1000 + 600_000);
    await db.apiKey.updateMany({ where: { prefix: key.split('_').slice(0, 2).join('_') }, data: { expiresAt } });
    expect((await issue(api(key), { roomId: room.id })).expiresAt).toBe(expiresAt.toISOString());
    expect((await issue(api(key), { roomId: room.id, expiresIn: 700 })).issues).toMatchObject([{ field: 'expiresIn' }]);
    const { token } = await ensure(api(key), { name: 'tokens' });
    expect(await createRoomTokens(db).verify(token)).toMatchObject({ expiresAt });
  });

  test('are given out by who may change rooms, and by nobody else', async () => {
    const { room, token } = await ensure(owner, { name: 'tokens' });
    const scopes: Scope[] = ['jobs:read', 'jobs:start', 'jobs:write', 'files:read', 'keys:write'];
    for (const credentials of [await createKey(db, projectId, scopes), token]) {
      const { errors } = await api(credentials).send(
        'mutation($id: ID!) { createRoomToken(input: { roomId: $id }) { __typename } }',
        { id: room.id },
      );
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    }
  });
});

describe('the events of a room', () => {
  const document = `subscription($id: ID!) { roomEvents(roomId: $id) { __typename sequence
    ... on RoomSnapshot { room { name participants { nodes { name } } } }
    ... on RoomEvent { room { name } participant { name } }
    ... on ParticipantJoined { identity name } ... on JobStateChanged { state } } }`;
  const nextOf = async (socket: Socket) =>
    ((await socket.next('1')).payload as { data: { roomEvents: unknown } }).data.roomEvents;

  async function follow(as: Api, id: string): Promise<Socket> {
    const socket = await as.connect();
    await socket.init();
    socket.subscribe('1', document, { id });
    return socket;
  }

  test('begin with the room as it is, and tell every change in order; jobs only to who may see them', async () => {
    const { room, token } = await ensure(owner, { name: 'followed' });
    const roomId = decodeId(room.id)?.id as string;
    const [all, own] = (await Promise.all([owner, api(token)].map((as) => follow(as, room.id)))) as [Socket, Socket];
    const snapshot = {
      __typename: 'RoomSnapshot',
      sequence: 0,
      room: { name: 'followed', participants: { nodes: [] } },
    };
    expect([await nextOf(all), await nextOf(own)]).toEqual([snapshot, snapshot]);

    await mutate(owner, 'updateRoom', { roomId: room.id, record: true }, 'room { id }');
    const updated = { __typename: 'RoomUpdated', sequence: 0, participant: null, room: { name: 'followed' } };
    expect([await nextOf(all), await nextOf(own)]).toEqual([updated, updated]);
    await createJobRow(db, projectId, 'QUEUED', { roomId });
    expect(await nextOf(all)).toEqual({ __typename: 'JobStateChanged', sequence: 1, state: 'QUEUED' });
    await mutate(owner, 'deleteRoom', { roomId: room.id }, 'roomId');
    expect(await nextOf(all)).toEqual({ ...updated, __typename: 'RoomDeleted', room: null });
    // With the room its token is over, and so is what was followed with it.
    expect(await own.closed).toBe(4403);
    all.close();
  });

  test('are events of the project as well', async () => {
    const socket = await owner.connect();
    await socket.init();
    const types = '[ROOM_UPDATED, ROOM_DELETED, PARTICIPANT_REMOVED]';
    socket.subscribe(
      '1',
      `subscription { events(filter: { types: ${types} }) { __typename ... on RoomEvent { room { name } } } }`,
    );
    await socket.next('1');
    await ensure(owner, { name: 'announced' });
    const { payload } = await socket.next('1');
    expect(payload).toEqual({ data: { events: { __typename: 'RoomUpdated', room: { name: 'announced' } } } });
    socket.close();
  });
});

describe("a room's token as credentials of the API", () => {
  test('shows that room and who is in it, and nothing else of its project', async () => {
    const { room, token } = await ensure(owner, { name: 'mine' });
    const { room: other } = await ensure(owner, { name: 'theirs' });
    const roomId = decodeId(room.id)?.id as string;
    const { sessionId } = await createSession(db, projectId);
    await db.session.update({ where: { id: sessionId }, data: { roomId } });
    const jobId = await createJobRow(db, projectId, 'RECORDING', { roomId });
    const ids = [
      room.id,
      other.id,
      encodeId('Session', sessionId),
      encodeId('Job', jobId),
      encodeId('Project', projectId),
    ];
    const found = await api(token).get(
      `query($ids: [ID!]!, $id: ID!, $other: ID!) { nodes(ids: $ids) { __typename } other: room(id: $other) { id } named: room(name: "theirs") { id }
        room(id: $id) { name jobs { totalCount nodes { id } } session { id } sessions { totalCount } participants { totalCount } } }`,
      { ids, id: room.id, other: other.id },
    );
    expect(found).toEqual({
      nodes: [{ __typename: 'Room' }, null, null, null, null],
      ...{ other: null, named: null },
      room: {
        name: 'mine',
        jobs: { totalCount: 0, nodes: [] },
        session: null,
        sessions: { totalCount: 0 },
        participants: { totalCount: 0 },
      },
    });
    const socket = await api(token).connect();
    await socket.init();
    socket.subscribe('1', 'subscription($id: ID!) { roomEvents(roomId: $id) { __typename } }', { id: other.id });
    expect((await socket.next('1')).payload).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
    socket.close();
    const download = await fetch(`${inject('stack').url}/files/${crypto.randomUUID()}/a.mp4`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(download.status).toBe(403);
  });

  test('is refused from the moment it expires, open streams with it', async () => {
    const { room } = await ensure(owner, { name: 'mine' });
    const { token } = await mutate<{ token: string }>(
      owner,
      'createRoomToken',
      { roomId: room.id, expiresIn: 8 },
      'token',
    );
    const socket = await api(token).connect();
    await socket.init();
    expect(await socket.closed).toBe(4403);
    expect((await api(token).send('{ __typename }')).status).toBe(401);
  });
});
