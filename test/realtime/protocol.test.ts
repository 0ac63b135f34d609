import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api, type Socket, serverSentEvents } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';

const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }';

let db: Database;
beforeAll(() => {
  db = createDatabase(inject('stack').databaseUrl);
});
afterAll(() => db.$disconnect());

/** A welcomed socket, and a job that it may follow. */
async function follower() {
  const projectId = await createProject(db);
  const jobId = await createJobRow(db, projectId, 'COMPLETE');
  const socket = await api(await createKey(db, projectId)).connect();
  onTestFinished(() => socket.close());
  await socket.init();
  return { socket, jobId, id: encodeId('Job', jobId) };
}

/** Resolves when everything that was sent so far has been dealt with. */
async function echo(socket: Socket): Promise<void> {
  socket.send({ type: 'ping', payload: { said: 'once' } });
  expect(await socket.next()).toEqual({ type: 'pong', payload: { said: 'once' } });
}

/** Upgrades by hand, since clients give up by themselves when no protocol is agreed on. */
async function closeCodeAfterUpgrade(headers: Record<string, string>): Promise<number> {
  const upgrade = request(`${inject('stack').url}/graphql`, {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      ...headers,
    },
  }).end();
  const [, socket, head] = (await once(upgrade, 'upgrade')) as [unknown, Duplex, Buffer];
  onTestFinished(() => void socket.destroy());
  let received = head;
  while (received.length < 4) received = Buffer.concat([received, (await once(socket, 'data'))[0]]);
  // One unfragmented frame that closes: its kind, its length, the code.
  expect(received[0]).toBe(0x88);
  return received.readUInt16BE(2);
}

describe('a WebSocket is closed with', () => {
  test('4401 when it subscribes before it has said who it is', async () => {
    const socket = await api().connect();
    socket.subscribe('1', '{ __typename }');
    expect(await socket.closed).toBe(4401);
  });

  test('4429 when it says so twice', async () => {
    const socket = await api().connect();
    await socket.init();
    socket.send({ type: 'connection_init' });
    expect(await socket.closed).toBe(4429);
  });

  test.each<[string, string | Buffer]>([
    ['of a type there is not', '{"type":"nonsense"}'],
    ['without a type', '{"id":"1"}'],
    ['that is no object', '["subscribe"]'],
    ['that is no JSON', 'nonsense'],
    ['that is cut off', '{"id":"1","type":"subscribe","payload":{"query":"{ __type'],
    ['that is empty', ''],
    ['of bytes that are no JSON', Buffer.from([0, 255, 1, 254])],
    ['to subscribe without an id', '{"type":"subscribe","payload":{"query":"{ __typename }"}}'],
    ['to subscribe with an empty id', '{"id":"","type":"subscribe","payload":{"query":"{ __typename }"}}'],
    ['to subscribe to nothing', '{"id":"1","type":"subscribe"}'],
    ['to subscribe to what is no document', '{"id":"1","type":"subscribe","payload":{"query":1}}'],
    [
      'to subscribe with variables that are none',
      '{"id":"1","type":"subscribe","payload":{"query":"{ a }","variables":1}}',
    ],
    ['to complete what has no id', '{"type":"complete"}'],
  ])('4400 when it sends a message %s', async (_, message) => {
    const socket = await api().connect();
    await socket.init();
    socket.sendRaw(message);
    expect(await socket.closed).toBe(4400);
  });

  test('4403 when its credentials are not good, without a welcome', async () => {
    for (const token of [null, 'nonsense', `td_${'0'.repeat(16)}_${'x'.repeat(43)}`]) {
      const socket = await api(token).connect();
      socket.send({ type: 'connection_init', payload: token ? { authorization: `Bearer ${token}` } : {} });
      expect(await socket.closed).toBe(4403);
      expect(socket.received).toEqual([]);
    }
  });

  test('4409 when it uses the id of an open subscription again', async () => {
    const { socket, id } = await follower();
    socket.subscribe('1', document, { id });
    await socket.next('1');
    socket.subscribe('1', document, { id });
    expect(await socket.closed).toBe(4409);
  });

  test.each([
    ['no protocol', {}],
    ['the protocol of an older library', { 'sec-websocket-protocol': 'graphql-ws' }],
    ['protocols that are none of ours', { 'sec-websocket-protocol': 'soap, graphql-transport-ws2' }],
  ])('4406 when it offers %s', async (_, headers) => {
    expect(await closeCodeAfterUpgrade(headers)).toBe(4406);
  });
});

test('queries and mutations are answered over WebSocket, with the same errors as over HTTP', async () => {
  const socket = await api().connect();
  await socket.init();
  socket.subscribe('1', '{ viewer { project { name } } }');
  expect(await socket.next('1')).toEqual({
    id: '1',
    type: 'next',
    payload: { data: { viewer: { project: { name: 'default' } } } },
  });
  expect(await socket.next('1')).toEqual({ id: '1', type: 'complete' });
  socket.subscribe('2', '{ nonsense }');
  expect(await socket.next('2')).toMatchObject({
    type: 'error',
    payload: [{ message: expect.stringContaining('nonsense') }],
  });
  socket.subscribe('3', 'mutation { startArchive(input: { url: "" }) { __typename } }');
  expect((await socket.next('3')).payload).toEqual({ data: { startArchive: { __typename: 'ValidationError' } } });
  socket.close();
});

test('a refused operation ends with its error: no `complete` follows, and its id is free again', async () => {
  const { socket, id } = await follower();
  const refused = [
    '{ nonsense }',
    '{ cut',
    'query($x: Nothing) { __typename }',
    'subscription { jobEvents { sequence } }',
  ];
  for (const query of refused) {
    socket.subscribe('1', query);
    expect((await socket.next('1')).type).toBe('error');
    await echo(socket);
    expect(socket.received).toEqual([]);
  }
  socket.subscribe('1', document, { id });
  expect((await socket.next('1')).type).toBe('next');
});

test('a client that completes a stream hears nothing of it any more, and may use its id again', async () => {
  const { socket, jobId, id } = await follower();
  for (const name of ['1', '2']) {
    socket.subscribe(name, document, { id });
    await socket.next(name);
  }
  socket.send({ id: '1', type: 'complete' });
  await echo(socket);
  await happen(db, jobId);
  expect((await socket.next('2')).payload).toEqual({ data: { jobEvents: { sequence: 2 } } });
  await echo(socket);
  expect(socket.received).toEqual([]);
  socket.subscribe('1', document, { id });
  expect((await socket.next('1')).payload).toEqual({ data: { jobEvents: { sequence: 2 } } });
});

test('completing what is not open is no mistake', async () => {
  const { socket } = await follower();
  socket.send({ id: 'never', type: 'complete' });
  await echo(socket);
});

describe('over HTTP a subscription', () => {
  const ask = async (accept: string) => {
    const projectId = await createProject(db);
    const id = encodeId('Job', await createJobRow(db, projectId, 'COMPLETE'));
    const leaving = new AbortController();
    onTestFinished(() => leaving.abort());
    return fetch(`${inject('stack').url}/graphql`, {
      method: 'POST',
      headers: {
        accept,
        'content-type': 'application/json',
        authorization: `Bearer ${await createKey(db, projectId)}`,
      },
      body: JSON.stringify({ query: document, variables: { id } }),
      signal: leaving.signal,
    });
  };

  test.each([
    'multipart/mixed',
    'multipart/mixed; boundary="-"',
    'multipart/mixed;subscriptionSpec="1.0", application/json',
    'application/json',
    'application/graphql-response+json',
  ])('is not served as "%s", which is refused with 406', async (accept) => {
    const response = await ask(accept);
    expect(response.status).toBe(406);
    expect(response.headers.get('content-type') ?? '').not.toContain('multipart');
    await response.body?.cancel();
  });

  test('is served as server-sent events to a client that would take multipart too', async () => {
    const response = await ask('multipart/mixed, text/event-stream');
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect((await serverSentEvents(response).next()).value).toEqual({ data: { jobEvents: { sequence: 1 } } });
  });
});
