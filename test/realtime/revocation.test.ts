/** Connections end when their credentials do: revoked on any of two API processes, or expired. */
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createDatabase, type Database } from '../../src/db.js';
import { api, type GraphqlError, type Socket, serverSentEvents } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { askForKey, createKey, revokeKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';

const document = 'subscription($id: ID!) { jobEvents(jobId: $id) { sequence } }';

const { url, databaseUrl } = inject('stack');
let replica: Replica;
let db: Database;
let projectId: string;
let jobId: string;
let id: string;
let owner: string;
beforeAll(async () => {
  db = createDatabase(databaseUrl);
  replica = await startReplica(databaseUrl);
  projectId = await createProject(db);
  jobId = await createJobRow(db, projectId, 'COMPLETE');
  id = encodeId('Job', jobId);
  owner = await createKey(db, projectId);
});
afterAll(async () => {
  await replica.close();
  await db.$disconnect();
});

const ask = () => api(owner, url);
const newKey = (expiresAt?: Date) => askForKey(ask(), expiresAt);
const revoke = (apiKeyId: string) => revokeKey(ask(), apiKeyId);

/** A socket that follows the job on one of the processes. */
async function follow(key: string, url: string): Promise<Socket> {
  const socket = await api(key, url).connect();
  onTestFinished(() => socket.close());
  await socket.init();
  socket.subscribe('1', document, { id });
  expect((await socket.next('1')).type).toBe('next');
  return socket;
}

/** The same as server-sent events; answers how to read on. */
async function followEvents(key: string, url: string) {
  const response = await api(key, url).stream(document, { id });
  const events = serverSentEvents<{ data?: unknown; errors?: GraphqlError[] }>(response);
  expect((await events.next()).value?.errors).toBeUndefined();
  return events;
}

async function expectUnauthenticatedLast(events: Awaited<ReturnType<typeof followEvents>>): Promise<void> {
  expect((await events.next()).value?.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  expect((await events.next()).done).toBe(true);
}

test('a revoked key is good for nothing on every API process: sockets are closed with 4403, events end with an error', async () => {
  const processes = [url, replica.url];
  const { key, apiKey } = await newKey();
  const sockets = await Promise.all(processes.map((process) => follow(key, process)));
  const events = await Promise.all(processes.map((process) => followEvents(key, process)));
  await revoke(apiKey.id);
  expect(await Promise.all(sockets.map((socket) => socket.closed))).toEqual([4403, 4403]);
  await Promise.all(events.map(expectUnauthenticatedLast));
});

test('a key that expires ends its connections at its moment and is refused from then on', async () => {
  const expiresAt = new Date(Date.now() + 3_000);
  const { key, apiKey } = await newKey(expiresAt);
  expect(apiKey.expiresAt).toBe(expiresAt.toISOString());
  const socket = await follow(key, url);
  const events = await followEvents(key, url);
  expect((await api(key, url).send('{ viewer { scopes } }')).status).toBe(200);
  expect(await socket.closed).toBe(4403);
  expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime());
  await expectUnauthenticatedLast(events);
  expect((await api(key, url).send('{ viewer { scopes } }')).status).toBe(401);
  const again = await api(key, url).connect();
  await expect(again.init()).rejects.toThrow('4403');
});

test('the other keys of the project go on when one is revoked', async () => {
  const one = await newKey();
  const other = await newKey();
  const [ending, lasting] = [await follow(one.key, url), await follow(other.key, url)];
  await revoke(one.apiKey.id);
  expect(await ending.closed).toBe(4403);
  await happen(db, jobId);
  expect((await lasting.next('1')).type).toBe('next');
});

test('a socket that does not answer its closing gets nothing done any more', async () => {
  const { key, apiKey } = await newKey();
  const socket = await follow(key, url);
  const obedient = await follow(key, url);
  socket.pause();
  await revoke(apiKey.id);
  expect(await obedient.closed).toBe(4403);
  const create =
    'mutation($name: String!) { createApiKey(input: { name: $name, scopes: [JOBS_READ] }) { __typename } }';
  const [refused, granted] = [crypto.randomUUID(), crypto.randomUUID()];
  socket.subscribe('2', create, { name: refused });
  socket.resume();
  // The answer to the closing is heard behind what was asked for, and another's request takes as long as that would have.
  expect(await socket.closed).toBe(4403);
  await ask().get(create, { name: granted });
  const keys = await db.apiKey.findMany({ where: { name: { in: [refused, granted] } } });
  expect(keys.map(({ name }) => name)).toEqual([granted]);
});
