/** Connections end when their credentials do: revoked on any of two API processes, or expired. */
import { createServer } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { encodeId } from '../../schema/ids.js';
import { createAuthenticator } from '../../src/auth/authenticate.js';
import { createJobToken } from '../../src/auth/tokens.js';
import type { Viewer } from '../../src/auth/viewer.js';
import { createDatabase, type Database } from '../../src/db.js';
import { listen } from '../../src/events/listen.js';
import { keysChannel } from '../../src/events/outbox.js';
import { createStreamKeeper } from '../../src/http/stream-keeper.js';
import { api, type GraphqlError, type Socket, serverSentEvents } from '../testkit/api.js';
import { happen } from '../testkit/happen.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { type Replica, startReplica } from '../testkit/server.js';
import { until } from '../testkit/until.js';

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

interface Created {
  createApiKey: { key: string; apiKey: { id: string; expiresAt: string | null } };
}

const ask = () => api(owner, url);

async function newKey(expiresAt?: Date) {
  const { createApiKey } = await ask().get<Created>(
    `mutation($expiresAt: DateTime) { createApiKey(input: { name: "one", scopes: [JOBS_READ, KEYS_WRITE], expiresAt: $expiresAt }) {
      ... on CreateApiKeyPayload { key apiKey { id expiresAt } }
    } }`,
    { expiresAt },
  );
  return createApiKey;
}

async function revoke(apiKeyId: string): Promise<void> {
  await ask().get('mutation($id: ID!) { revokeApiKey(input: { apiKeyId: $id }) { __typename } }', { id: apiKeyId });
}

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

describe('what keeps connections', () => {
  const viewer: Viewer = { kind: 'key', projectId: '', keyId: '', scopes: [] };

  function keeperOn(databaseUrl: string) {
    const db = createDatabase(databaseUrl, 2);
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line) => void warnings.push(line) });
    const keeper = createStreamKeeper({ authenticator: createAuthenticator(db), connectionsPerKey: 2, log });
    onTestFinished(() => {
      keeper.close();
      // It would wait for a connection that is still being tried.
      void db.$disconnect();
    });
    return { keeper, warnings };
  }

  test('ends what became of no use without being told, as when a notification was lost', async () => {
    const { keeper } = keeperOn(databaseUrl);
    const key = await createKey(db, projectId);
    const end = vi.fn();
    const lasting = vi.fn();
    keeper.keep(key, viewer, end);
    keeper.keep(owner, viewer, lasting);
    await db.apiKey.updateMany({ where: { prefix: key.slice(0, 19) }, data: { revokedAt: new Date() } });
    await expect.poll(() => end.mock.calls.length, { timeout: 10_000 }).toBe(1);
    expect(end.mock.calls[0]?.[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } });
    expect(lasting).not.toHaveBeenCalled();
  });

  test('asks about job tokens too, and about thousands of tokens at once', async () => {
    const { keeper } = keeperOn(databaseUrl);
    const { token, hash } = createJobToken(jobId);
    await db.job.update({ where: { id: jobId }, data: { accessTokenHash: hash } });
    const lasting = vi.fn();
    keeper.keep(token, viewer, lasting);
    const strangers = Array.from({ length: 2_500 }, () => vi.fn());
    for (const end of strangers) keeper.keep(createJobToken(crypto.randomUUID()).token, viewer, end);
    keeper.recheck();
    await expect
      .poll(() => strangers.filter((end) => end.mock.calls.length === 1).length, { timeout: 20_000 })
      .toBe(strangers.length);
    expect(lasting).not.toHaveBeenCalled();
  });

  test('ends nothing because a database cannot be reached, or does not answer', async () => {
    const silent = createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const keepers = ['127.0.0.1:1', `127.0.0.1:${port}`].map((address) =>
      keeperOn(`postgresql://tapedeck@${address}/none`),
    );
    const end = vi.fn();
    for (const { keeper } of keepers) {
      keeper.keep(owner, viewer, end);
      keeper.recheck();
    }
    await expect.poll(() => keepers.every(({ warnings }) => warnings.length > 0), { timeout: 20_000 }).toBe(true);
    expect(end).not.toHaveBeenCalled();
  });

  test('does not wait for its next look when a key is revoked: it is told', async () => {
    let told = () => {};
    const listening = new Promise<void>((resolve) => {
      told = resolve;
    });
    let recheck = () => {};
    const listener = listen({
      ...{ url: databaseUrl, channels: [keysChannel], log: pino({ level: 'silent' }) },
      onWake: () => {
        told();
        recheck();
      },
    });
    onTestFinished(() => listener.close());
    await listening;
    const { key, apiKey } = await newKey();
    // No time goes by: what is done every few seconds is not done.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { keeper } = keeperOn(databaseUrl);
    const [end, lasting] = [vi.fn(), vi.fn()];
    keeper.keep(key, viewer, end);
    keeper.keep(owner, viewer, lasting);
    recheck = keeper.recheck;
    await revoke(apiKey.id);
    await until(() => end.mock.calls.length === 1);
    expect(end.mock.calls[0]?.[0]).toMatchObject({ extensions: { code: 'UNAUTHENTICATED' } });
    expect(lasting).not.toHaveBeenCalled();
  });

  test('ends what expires at its moment, not when it looks next', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const { keeper } = keeperOn(databaseUrl);
    const end = vi.fn();
    keeper.keep(owner, { ...viewer, expiresAt: new Date(Date.now() + 2_000) }, end);
    vi.advanceTimersByTime(1_999);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end.mock.calls).toMatchObject([[{ extensions: { code: 'UNAUTHENTICATED' } }]]);
  });

  test('does not take a moment that is further away than timers reach for now', async () => {
    const { keeper } = keeperOn(databaseUrl);
    const end = vi.fn();
    keeper.keep(owner, { ...viewer, expiresAt: new Date(Date.now() + 40 * 86_400_000) }, end);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(end).not.toHaveBeenCalled();
  });

  test('counts what was forgotten twice once, and ends at once what comes after its own end', () => {
    const { keeper } = keeperOn(databaseUrl);
    const forget = keeper.keep(owner, viewer, () => {});
    const kept = vi.fn();
    expect(keeper.keep(owner, viewer, kept)).not.toBeNull();
    expect(keeper.keep(owner, viewer, () => {})).toBeNull();
    forget?.();
    forget?.();
    expect(keeper.keep(owner, viewer, () => {})).not.toBeNull();
    expect(keeper.keep(owner, viewer, () => {})).toBeNull();
    keeper.close();
    expect(kept.mock.calls).toMatchObject([[{ name: 'AbortError' }]]);
    const late = vi.fn();
    keeper.keep(owner, viewer, late);
    expect(late.mock.calls).toMatchObject([[{ name: 'AbortError' }]]);
  });
});
