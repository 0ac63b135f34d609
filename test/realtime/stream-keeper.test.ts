/** What keeps connections ends them when their credentials do. No API runs in this process: tests stop its clock. */
import { createServer } from 'node:net';
import pino from 'pino';
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.js';
import { createJobToken } from '../../src/auth/tokens.js';
import type { Viewer } from '../../src/auth/viewer.js';
import { createDatabase, type Database } from '../../src/db.js';
import { listen } from '../../src/events/listen.js';
import { keysChannel } from '../../src/events/outbox.js';
import { createStreamKeeper } from '../../src/http/stream-keeper.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { askForKey, createKey, revokeKey } from '../testkit/keys.js';
import { until } from '../testkit/until.js';

const { url, databaseUrl } = inject('stack');
let db: Database;
let projectId: string;
let jobId: string;
let owner: string;
beforeAll(async () => {
  db = createDatabase(databaseUrl);
  projectId = await createProject(db);
  jobId = await createJobRow(db, projectId, 'COMPLETE');
  owner = await createKey(db, projectId);
});
afterAll(() => db.$disconnect());

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
  const { key, apiKey } = await askForKey(api(owner, url));
  // No time goes by: what is done every few seconds is not done.
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { keeper } = keeperOn(databaseUrl);
  const [end, lasting] = [vi.fn(), vi.fn()];
  keeper.keep(key, viewer, end);
  keeper.keep(owner, viewer, lasting);
  recheck = keeper.recheck;
  await revokeKey(api(owner, url), apiKey.id);
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
