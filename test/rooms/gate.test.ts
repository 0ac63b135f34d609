import { once } from 'node:events';
import { request } from 'node:http';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake, eventsChannel } from '../../src/events/outbox.js';
import { createRequestGate } from '../../src/http/rtc-requests.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { newMediaId, parseMediaId } from '../../src/media/identity.js';
import { createProject } from '../testkit/jobs.js';
import { startMediaServer } from '../testkit/media-server.js';
import { type TestRoom, testRoom } from '../testkit/room-tokens.js';
import { startReplica } from '../testkit/server.js';
import { type Handle, type Message, type Signalling, saidBy, signalling } from '../testkit/signalling.js';

const publisher = { request: 'join', ptype: 'publisher' };
const refused = { janus: 'error', error: { code: 403 } };
const patience = { timeout: 30_000 };

let db: Database;
let projectId: string;
let room: TestRoom;
/** All there ever were. */
const open: Signalling[] = [];
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  projectId = await createProject(db);
  room = await testRoom(db, projectId);
});
afterAll(() => db.$disconnect());
// One identity may have only so many at once.
afterEach(() => {
  for (const each of open) each.close();
});

async function come(token: string, options?: Parameters<typeof signalling>[1]): Promise<Signalling> {
  const connection = await signalling(token, options);
  open.push(connection);
  return connection;
}

/** Comes in and joins; answers who it is then. */
async function join(token: string, options?: Parameters<typeof signalling>[1]) {
  const connection = await come(token, options);
  const handle = await connection.open();
  const joined = saidBy(await handle.say(publisher));
  return { connection, handle, joined, mediaId: joined.id as string };
}

const mediaIds = (people: unknown): string[] => (people as { id: string }[]).map(({ id }) => id);

describe('who is let in', () => {
  test.each<[string, () => Promise<string>, number]>([
    ['nobody without a token', async () => '', 4401],
    ['nobody with something else', async () => inject('stack').apiKey, 4401],
    ['nobody with a token that somebody else made', async () => `${(await room.token()).slice(0, -4)}AAAA`, 4401],
    ['nobody with an expired token', () => room.token({ expiresAt: new Date(Date.now() - 1_000) }), 4403],
    ['nobody into a room that never was', () => room.token({ roomId: projectId }), 4404],
    ['nobody into a room of another project', () => room.token({ projectId: room.roomId }), 4404],
  ])('%s', async (_what, token, code) => {
    expect(await (await come(await token())).closed).toBe(code);
  });

  test('a token is good until it expires, also in mid-session', async () => {
    const { connection, joined } = await join(await room.token({ expiresAt: new Date(Date.now() + 8_000) }));
    expect(joined.videoroom).toBe('joined');
    expect(await connection.closed).toBe(4403);
  });

  test('a deleted room is left by everybody, and entered by nobody', async () => {
    const doomed = await testRoom(db, projectId);
    const { connection } = await join(await doomed.token());
    await db.$transaction(async (transaction) => {
      const { roomId } = doomed;
      await transaction.room.update({ where: { id: roomId }, data: { deletedAt: new Date(), deletedKey: roomId } });
      await transaction.$executeRaw`INSERT INTO event (project_id, room_id, type, payload)
        VALUES (${projectId}::uuid, ${roomId}::uuid, 'RoomDeleted', '{"type":"RoomDeleted"}')`;
    });
    createWake(db)(eventsChannel);
    expect(await connection.closed).toBe(4404);
    expect(await (await come(await doomed.token())).closed).toBe(4404);
  });

  test('one identity has so many connections at once and no more, and others are not kept out by it', async () => {
    const token = await room.token({ identity: 'many' });
    const many = await Promise.all(Array.from({ length: 20 }, () => come(token)));
    for (const each of many) await each.open();
    expect(await (await come(token)).closed).toBe(1013);
    await (await come(await room.token({ identity: 'other' }))).open();
    many[0]?.close();
    await expect
      .poll(async () => {
        const again = await come(token);
        return Promise.race([
          again.closed,
          again.open().then(
            () => 'let in',
            () => again.closed,
          ),
        ]);
      }, patience)
      .toBe('let in');
    for (const each of many) each.close();
  });

  test.each([
    ['another protocol', { 'sec-websocket-protocol': 'janus-admin-protocol' }, '/rtc'],
    ['another path', { 'sec-websocket-protocol': 'janus-protocol' }, '/rtc/admin'],
  ])('%s is no WebSocket of ours', async (_what, headers, path) => {
    const upgrade = request(`${inject('stack').url}${path}`, {
      headers: {
        ...{ connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
        ...{ 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers },
      },
    }).end();
    const outcome = await Promise.race([
      once(upgrade, 'response').then(([response]) => response.statusCode),
      once(upgrade, 'upgrade').then(async ([response, socket]) => {
        socket.destroy();
        return response.headers['sec-websocket-protocol'] ?? 'no protocol';
      }),
    ]);
    expect([400, 'no protocol']).toContain(outcome);
  });
});

describe('who somebody is', () => {
  test('is what the token says, whatever they say themselves', async () => {
    const other = await testRoom(db, projectId);
    const connection = await come(await room.token({ identity: 'mallory', name: 'Mallory' }));
    const handle = await connection.open();
    const claims = { room: other.roomId, id: newMediaId('browser', 'ann'), display: 'Ann', token: 'x', pin: 'y' };
    const joined = saidBy(await handle.say({ ...publisher, ...claims }));
    expect(joined).toMatchObject({ videoroom: 'joined', room: room.roomId });
    expect(parseMediaId(joined.id as string)).toEqual({ kind: 'browser', identity: 'mallory' });
    const { joined: seen } = await join(await room.token({ identity: 'ben' }));
    expect(seen.attendees).toContainEqual(expect.objectContaining({ id: joined.id, display: 'Mallory' }));
    const elsewhere = await join(await other.token({ identity: 'eve' }));
    expect(elsewhere.joined.attendees ?? []).toEqual([]);
  });

  test('is another each time, so that pages with one token are in the room side by side', async () => {
    const token = await room.token({ identity: 'twin' });
    const [one, other] = await Promise.all([join(token), join(token)]);
    expect(parseMediaId(one.mediaId)).toEqual(parseMediaId(other.mediaId));
    expect(one.mediaId).not.toBe(other.mediaId);
  });

  test('is joined with on one handle only', async () => {
    const { connection } = await join(await room.token());
    const second = await connection.attach();
    expect(await second.say(publisher)).toMatchObject(refused);
    expect(saidBy(await second.say({ request: 'join', ptype: 'subscriber' })).error_code).toBeDefined();
    expect(await second.say(publisher)).toMatchObject(refused);
  });

  test('is nobody to others for who only watches, and for recorders', async () => {
    const quiet = await testRoom(db, projectId);
    const ann = await join(await quiet.token());
    const unseen = [
      await join(await quiet.token({ scopes: ['subscribe'], identity: 'w1' })),
      await join(await quiet.token({ identity: 'w2' }), { watch: true }),
      await join(await quiet.token({ scopes: ['subscribe'], identity: 'rec', recorder: true })),
    ];
    expect(unseen.map(({ mediaId }) => parseMediaId(mediaId)?.kind)).toEqual(['watcher', 'watcher', 'recorder']);
    for (const { joined } of unseen) expect(mediaIds(joined.attendees)).toEqual([ann.mediaId]);
    const ben = await join(await quiet.token({ identity: 'ben' }));
    expect(mediaIds(ben.joined.attendees)).toEqual([ann.mediaId]);
    for (const { connection } of unseen) connection.close();
    ben.connection.close();
    const left = await ann.connection.heard((message) => saidBy(message).leaving === ben.mediaId);
    expect(left.janus).toBe('event');
    const told = JSON.stringify(ann.connection.received);
    for (const { mediaId } of unseen) expect(told).not.toContain(mediaId);
    expect(told).toContain(ben.mediaId);
  });

  test('is hidden from whom the token says', async () => {
    const quiet = await testRoom(db, projectId);
    const ann = await join(await quiet.token());
    const page = await join(await quiet.token({ scopes: ['subscribe'], hidden: [ann.mediaId] }));
    expect(page.joined.attendees).toEqual([]);
    ann.connection.close();
    const ben = await join(await quiet.token({ identity: 'ben' }));
    await page.connection.heard((message) => JSON.stringify(message).includes(ben.mediaId));
    expect(JSON.stringify(page.connection.received)).not.toContain(ann.mediaId);
    const handle = await page.connection.attach();
    const wish = { request: 'join', ptype: 'subscriber', streams: [{ feed: ann.mediaId }] };
    expect(await handle.say(wish)).toMatchObject(refused);
  });
});

describe('what may be said', () => {
  test.each([
    'create',
    'destroy',
    'edit',
    'exists',
    'list',
    'allowed',
    'kick',
    'moderate',
    'listparticipants',
    'listforwarders',
    'rtp_forward',
    'stop_rtp_forward',
    'enable_recording',
    'joinandconfigure',
    'add_remote_publisher',
    'publish_remotely',
    'switch',
    'constructor',
    '__proto__',
    'toString',
    '',
  ])('a browser cannot ask the media server for "%s"', async (name) => {
    const { handle } = await join(await room.token());
    expect(await handle.say({ request: name, room: room.roomId, admin_key: 'x', secret: 'y' })).toMatchObject(refused);
  });

  test.each(['claim', 'info', 'ping', 'add_token', 'message_plugin', 'constructor'])('nor say "%s"', async (verb) => {
    const { connection, handle } = await join(await room.token());
    const { sessionId: session_id, handleId: handle_id } = handle;
    expect(await connection.ask({ janus: verb, session_id, handle_id })).toMatchObject(refused);
  });

  test.each(['janus.plugin.streaming', 'janus.plugin.audiobridge', 'x'])('nor attach to %s', async (plugin) => {
    const { connection, handle } = await join(await room.token());
    expect(await connection.ask({ janus: 'attach', session_id: handle.sessionId, plugin })).toMatchObject(refused);
  });

  test('sessions and handles of others are out of reach', async () => {
    const [ann, eve] = [await join(await room.token()), await join(await room.token({ identity: 'eve' }))];
    const theirs = { session_id: ann.handle.sessionId, handle_id: ann.handle.handleId };
    const body = { request: 'leave' };
    for (const message of [
      { janus: 'message', ...theirs, body },
      { janus: 'message', session_id: eve.handle.sessionId, handle_id: theirs.handle_id, body },
      { janus: 'message', session_id: theirs.session_id, handle_id: eve.handle.handleId, body },
      { janus: 'detach', ...theirs },
      { janus: 'hangup', ...theirs },
      { janus: 'trickle', ...theirs, candidate: { completed: true } },
      { janus: 'destroy', session_id: theirs.session_id },
      { janus: 'keepalive', session_id: theirs.session_id },
      { janus: 'attach', session_id: theirs.session_id, plugin: 'janus.plugin.videoroom' },
      { janus: 'create' },
      { janus: 'create', session_id: theirs.session_id },
      { janus: 'message', body },
      { janus: 'keepalive' },
    ])
      expect(await eve.connection.ask(message), JSON.stringify(message)).toMatchObject(refused);
    // It is still there, and its handle too.
    expect(await ann.connection.ask({ janus: 'keepalive', session_id: theirs.session_id })).toMatchObject({
      janus: 'ack',
    });
    expect(saidBy(await ann.handle.say({ request: 'leave' })).leaving).toBe('ok');
  });

  // Said to the gate itself: whether the media server answers before the second of two requests is a matter of luck.
  test('a transaction that is used twice gives nobody a session or handle that is not theirs', () => {
    const { judge, heard } = createRequestGate({
      ...{ roomId: 'room', mediaId: 'browser', kind: 'browser', name: 'Ann' },
      ...{ scopes: ['publish', 'subscribe'], hidden: new Set() },
    });
    const isPassed = (message: object) => 'forward' in judge(JSON.stringify({ transaction: 'same', ...message }));
    const attach = { janus: 'attach', session_id: 1, plugin: 'janus.plugin.videoroom' };
    expect(isPassed({ janus: 'create' })).toBe(true);
    heard({ janus: 'success', transaction: 'same', data: { id: 1 } });
    expect([attach, attach, { janus: 'keepalive', session_id: 1 }].map(isPassed)).toEqual([true, false, true]);
    heard({ janus: 'ack', transaction: 'same' });
    for (const id of [7, 8]) heard({ janus: 'success', transaction: 'same', data: { id } });
    const hangups = [7, 8].map((handle_id) => ({ janus: 'hangup', session_id: 1, handle_id }));
    expect(hangups.map(isPassed)).toEqual([true, false]);
  });

  test('publishing needs the scope, and a place in the room that is seen', async () => {
    const offer = { jsep: { type: 'offer', sdp: 'v=0' } };
    for (const [claims, options] of [
      [{ scopes: ['subscribe'] as const }, {}],
      [{}, { watch: true }],
      [{ recorder: true }, {}],
    ] as const) {
      const { handle } = await join(await room.token(claims), options);
      expect(await handle.say({ request: 'publish' }, offer)).toMatchObject(refused);
      expect(await handle.say({ request: 'unpublish' })).toMatchObject(refused);
      expect(await handle.say({ request: 'configure' }, offer)).toMatchObject(refused);
      expect(await handle.say({ request: 'start' }, offer)).toMatchObject(refused);
    }
    const { handle } = await join(await room.token({ scopes: ['publish'] }));
    // It comes through: the media server itself finds that this is no offer.
    expect((await handle.say({ request: 'publish' }, offer)).error?.code).toBe(465);
  });

  test('watching needs the scope', async () => {
    const { connection, mediaId } = await join(await room.token({ scopes: ['publish'] }));
    const handle = await connection.attach();
    const wish = { request: 'join', ptype: 'subscriber', streams: [{ feed: mediaId }] };
    expect(await handle.say(wish)).toMatchObject(refused);
    expect(await handle.say({ request: 'update', subscribe: [{ feed: mediaId }] })).toMatchObject(refused);
    const moderator = await come(await room.token({ scopes: ['moderate'] }));
    expect(await (await moderator.open()).say(publisher)).toMatchObject(refused);
  });

  test.each([
    ['no JSON', '{'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[{"janus":"create","transaction":"x"}]'],
    ['no transaction', '{"janus":"create"}'],
    ['a transaction that is none', '{"janus":"create","transaction":{}}'],
    ['a session that is none', '{"janus":"keepalive","transaction":"x","session_id":"1"}'],
    [
      'what would change every object',
      '{"janus":"create","transaction":"x","__proto__":{"session_id":1},"session_id":[]}',
    ],
  ])('%s is refused, and the connection lives', async (_what, text) => {
    const connection = await come(await room.token());
    connection.sendRaw(text);
    await connection.heard(({ janus, error }) => janus === 'error' && error?.code === 403);
    await connection.open();
  });

  test('malformed requests to the room are refused', async () => {
    const { connection } = await join(await room.token());
    const handle = await connection.attach();
    const streams = Array.from({ length: 301 }, () => ({ feed: 'x' }));
    for (const body of [
      { request: 'join', ptype: 'admin' },
      { request: 'join', ptype: 'subscriber', streams: 'all' },
      { request: 'join', ptype: 'subscriber', streams },
      { request: 'join', ptype: 'subscriber', streams: [{ feed: { id: 1 } }] },
      { request: ['join'], ptype: 'publisher' },
      { request: 'configure', streams: [{ send: 'yes' }] },
    ])
      expect(await handle.say(body as never), JSON.stringify(body)).toMatchObject(refused);
  });

  test('a message that is too long, or too many of them, end the connection', async () => {
    const long = await come(await room.token());
    await long.open();
    long.sendRaw(JSON.stringify({ janus: 'create', transaction: 'x'.repeat(262_144) }));
    expect(await long.closed).toBe(1009);
    const many = await come(await room.token());
    await many.open();
    for (let count = 0; count < 5_000; count++) many.sendRaw('{}');
    expect(await many.closed).toBe(1008);
    const early = await come(await room.token());
    // Whether it is let in before the last of them or not.
    for (let count = 0; count < 5_000; count++) early.sendRaw('x'.repeat(100));
    expect(await early.closed).toBe(1008);
  });

  test('a connection has so many handles and no more; those that are given back count no longer', async () => {
    const { connection, handle } = await join(await room.token());
    const plugin = 'janus.plugin.videoroom';
    const attach = () => connection.ask({ janus: 'attach', session_id: handle.sessionId, plugin });
    const answers: Message[] = [];
    for (let count = 0; count < 128; count++) answers.push(await attach());
    expect(answers.filter(({ janus }) => janus === 'success')).toHaveLength(127);
    expect(answers.at(-1)).toMatchObject(refused);
    const { id } = (answers[0] as { data: { id: number } }).data;
    await connection.ask({ janus: 'detach', session_id: handle.sessionId, handle_id: id });
    expect(await attach()).toMatchObject({ janus: 'success' });
  });

  test('nothing that is said tells the secrets of the media server', () => {
    const { apiSecret, adminKey } = inject('stack').mediaServer;
    const told = JSON.stringify(open.flatMap(({ received }) => received));
    expect(told.length).toBeGreaterThan(10_000);
    for (const secret of [apiSecret, adminKey]) expect(told).not.toContain(secret);
  });
});

describe('when the media server is away', () => {
  test('browsers are told to try again, those that are in are told to come back, and they can', {
    timeout: 120_000,
  }, async () => {
    const own = await startMediaServer({ listening: false });
    onTestFinished(() => own.close());
    const loaded = await startReplica(inject('stack').databaseUrl, {
      media: { ...loadConfig().media, ...own.address },
    });
    try {
      const options = { url: loaded.url };
      const { connection, handle } = await join(await room.token(), options);
      await own.kill();
      expect(await connection.closed).toBe(1012);
      expect(handle.sessionId).toBeGreaterThan(0);
      // The replica's own connection is made anew, and the room with it.
      await expect
        .poll(async () => {
          const again = await come(await room.token(), options);
          return again.open().then(
            (back: Handle) => back.say(publisher).then((said) => saidBy(said).videoroom),
            () => null,
          );
        }, patience)
        .toBe('joined');
      const last = await join(await room.token(), options);
      await own.close();
      expect(await last.connection.closed).toBe(1012);
      expect(await (await come(await room.token(), options)).closed).toBe(1013);
      // Its header, which is that of every token.
      const [header] = (await room.token()).split('.');
      expect(loaded.logged.join('')).not.toContain(header);
    } finally {
      await loaded.close();
    }
  });

  test('a room that it has lost is made anew for who comes back', async () => {
    const lost = await testRoom(db, projectId);
    const { connection } = await join(await lost.token());
    const log = pino({ level: 'silent' });
    const server = await connectMediaServer(inject('stack').mediaServer, { log });
    await server.closeRoom(lost.roomId);
    await server.close();
    expect(await connection.closed).toBe(1012);
    expect((await join(await lost.token())).joined.videoroom).toBe('joined');
  });

  test('one that hangs is given up after a while', { timeout: 120_000 }, async () => {
    const own = await startMediaServer({ listening: false });
    onTestFinished(() => own.close());
    const { databaseUrl } = inject('stack');
    const replica = await startReplica(databaseUrl, { media: { ...loadConfig().media, ...own.address } });
    const { connection } = await join(await room.token(), { url: replica.url });
    const pid = own.pid as number;
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await connection.closed).toBe(1012);
    } finally {
      process.kill(pid, 'SIGCONT');
      await replica.close();
    }
  });

  test('a replica that stops tells everybody to go elsewhere', async () => {
    const { databaseUrl, mediaServer } = inject('stack');
    const replica = await startReplica(databaseUrl, { media: { ...loadConfig().media, ...mediaServer } });
    const { connection } = await join(await room.token(), { url: replica.url });
    await replica.close();
    expect(await connection.closed).toBe(1001);
  });
});
