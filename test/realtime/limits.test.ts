/** How many connections one key may have, tried on a replica that allows three; and which sockets a server cannot keep. */
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { encodeId } from '../../schema/ids.js';
import { api, type GraphqlError, type Socket, serverSentEvents } from '../testkit/api.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';

const connectionsPerKey = 3;
const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }';

let database: OwnDatabase;
let server: Replica;
let projectId: string;
let id: string;
beforeAll(async () => {
  database = await ownDatabase();
  server = await startReplica(database.url, { connectionsPerKey });
  projectId = await createProject(database.db);
  id = encodeId('Job', await createJobRow(database.db, projectId, 'COMPLETE'));
});
afterAll(async () => {
  await server.close();
  await database.remove();
});

/** Somebody with a key of their own, who has nothing open yet. */
async function someone() {
  const key = await createKey(database.db, projectId);
  const { connect, stream } = api(key, server.url);
  return {
    ...{ key, connect, stream },
    async join(): Promise<Socket> {
      const socket = await connect();
      onTestFinished(() => socket.close());
      await socket.init();
      return socket;
    },
    async follow(query = document, variables: Record<string, unknown> | undefined = { id }) {
      const leaving = new AbortController();
      onTestFinished(() => leaving.abort());
      const response = await stream(query, variables, leaving.signal);
      return { response, leave: () => leaving.abort() };
    },
  };
}
type Someone = Awaited<ReturnType<typeof someone>>;

/** As many sockets as may be, which only succeeds when nothing else is counted; else none. */
async function joinAll({ join }: Someone): Promise<Socket[]> {
  const joined = await Promise.allSettled(Array.from({ length: connectionsPerKey }, join));
  const sockets = joined.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  if (sockets.length === connectionsPerKey) return sockets;
  for (const socket of sockets) socket.close();
  throw new Error(`Only ${sockets.length} sockets could be opened.`);
}

/** Whether another socket is welcomed. */
const canJoin = ({ join }: Someone) =>
  join().then(
    () => true,
    () => false,
  );

async function closeCode({ connect }: Someone): Promise<number> {
  const socket = await connect();
  await expect(socket.init()).rejects.toThrow();
  expect(socket.received).toEqual([]);
  return socket.closed;
}

describe('a key', () => {
  test(`has ${connectionsPerKey} sockets at once, one more is closed with 1013 before it is welcomed, and the others go on`, async () => {
    const one = await someone();
    const sockets = await joinAll(one);
    expect(await closeCode(one)).toBe(1013);
    for (const socket of sockets) {
      socket.subscribe('1', document, { id });
      expect((await socket.next('1')).type).toBe('next');
    }
  });

  test('may connect again when one of its sockets has gone', async () => {
    const one = await someone();
    const [first] = await joinAll(one);
    first?.close();
    await expect.poll(() => canJoin(one)).toBe(true);
    expect(await closeCode(one)).toBe(1013);
  });

  test('shares its connections between sockets and server-sent streams: one more stream is answered with 429', async () => {
    const one = await someone();
    await one.join();
    const streams = [await one.follow(), await one.follow()];
    for (const { response } of streams) expect((await serverSentEvents(response).next()).done).toBe(false);
    expect(await closeCode(one)).toBe(1013);
    const { response } = await one.follow();
    expect(response.status).toBe(429);
    const { value } = await serverSentEvents<{ errors: GraphqlError[] }>(response).next();
    expect(value?.errors[0]?.extensions.code).toBe('LIMIT_EXCEEDED');
    streams[0]?.leave();
    await expect.poll(() => canJoin(one)).toBe(true);
  });

  test('does not use up the connections of another key of its project', async () => {
    await joinAll(await someone());
    await joinAll(await someone());
  });

  test('is asked nothing for queries and mutations, of which it may send more', async () => {
    const one = await someone();
    await joinAll(one);
    expect((await api(one.key, server.url).send('{ __typename }')).status).toBe(200);
  });

  test('gets in with the usual client as soon as there is room, since that tries again after 1013', async () => {
    const one = await someone();
    const [first] = await joinAll(one);
    const refused: unknown[] = [];
    const client = createClient({
      url: `${server.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: one.key },
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
      retryAttempts: 100,
      on: {
        closed: (event) => {
          refused.push((event as { code: number }).code);
          if (refused.length === 2) first?.close();
        },
      },
    });
    onTestFinished(() => client.dispose());
    const { value } = await client.iterate({ query: document, variables: { id } }).next();
    expect(value?.data).toEqual({ jobEvents: { sequence: 1 } });
    expect(refused.slice(0, 2)).toEqual([1013, 1013]);
  });
});

describe('a connection is not counted any more', () => {
  /** However it ended, all of them are free again. */
  async function expectFree(one: Someone): Promise<void> {
    await expect.poll(() => joinAll(one).catch(() => []), { timeout: 10_000 }).toHaveLength(connectionsPerKey);
  }
  const times = Array.from({ length: 2 * connectionsPerKey });

  /** Says goodbye after all that was sent, and hears that the server has noticed. */
  async function leave(socket: Socket): Promise<void> {
    socket.leave();
    await socket.closed;
  }

  test('when its socket left while it was still being authenticated', async () => {
    const one = await someone();
    await database.db.$transaction(async (transaction) => {
      // Whoever wants to read a key now waits for the end of this transaction.
      await transaction.$executeRaw`LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE`;
      for (const _ of times) {
        const socket = await one.connect();
        socket.send({ type: 'connection_init', payload: { authorization: one.key } });
        await leave(socket);
      }
    });
    await expectFree(one);
  });

  test('when its socket was closed for a mistake', async () => {
    const one = await someone();
    for (const _ of times) {
      const socket = await one.join();
      socket.send({ type: 'connection_init' });
      expect(await socket.closed).toBe(4429);
    }
    await expectFree(one);
  });

  test.each([
    ['was of a job that there is not', document, { id: encodeId('Job', crypto.randomUUID()) }],
    ['had an argument that is none', document, { id: 'nonsense' }],
    ['lacked its variables', document, {}],
    [
      'cost too much',
      `subscription { jobEvents(jobId: "") { job { ${Array.from({ length: 13 }, (_, index) => `a${index}: files(first: 100) { nodes { id name kind } }`).join(' ')} } } }`,
      {},
    ],
    ['was none but a query', '{ __typename }', {}],
  ])('when its server-sent stream %s', async (_, query, variables) => {
    const one = await someone();
    for (const _ of times) {
      const { response } = await one.follow(query, variables);
      expect(await response.text()).toContain('data');
    }
    await expectFree(one);
  });

  test('when its server-sent stream was left before its first event', async () => {
    const one = await someone();
    for (const [index] of times.entries()) {
      const leaving = new AbortController();
      const response = one.stream(document, { id }, leaving.signal);
      setTimeout(() => leaving.abort(), index * 3);
      await response.then((answer) => answer.text()).catch(() => {});
    }
    await expectFree(one);
  });
});

describe('a client that is to come again', () => {
  test('is closed with 1013 when its credentials cannot be looked at now', async () => {
    const one = await someone();
    await database.db.$executeRaw`ALTER TABLE api_key RENAME TO api_key_away`;
    const code = await closeCode(one).finally(
      () => database.db.$executeRaw`ALTER TABLE api_key_away RENAME TO api_key`,
    );
    expect(code).toBe(1013);
    expect(await canJoin(one)).toBe(true);
  });

  test('is closed with 1001 when the server stops, before or after it was welcomed; server-sent events just end', async () => {
    const stopping = await startReplica(database.url);
    const client = api(await createKey(database.db, projectId), stopping.url);
    const [stranger, idle, following] = [await client.connect(), await client.connect(), await client.connect()];
    for (const socket of [idle, following]) await socket.init();
    following.subscribe('1', document, { id });
    await following.next('1');
    const events = serverSentEvents(await client.stream(document, { id }));
    await events.next();
    const closing = stopping.close();
    expect(await Promise.all([stranger, idle, following].map(({ closed }) => closed))).toEqual([1001, 1001, 1001]);
    expect(await events.next()).toEqual({ done: true, value: undefined });
    await closing;
  });
});
