/** API keys, job tokens and the development key, on a real database. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { afterAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { createAuthenticator } from '../../src/auth/authenticate.js';
import { developmentProjectId, ensureDevelopmentKey } from '../../src/auth/development.js';
import { createApiKeyToken, createJobToken } from '../../src/auth/tokens.js';
import { allScopes, type KeyViewer, type Scope } from '../../src/auth/viewer.js';
import { loadConfig } from '../../src/config.js';
import { createDatabase } from '../../src/db.js';
import { NotFoundError, ValidationError } from '../../src/services/errors.js';
import { createKeys } from '../../src/services/keys.js';

const db = createDatabase(inject('stack').databaseUrl);
const keys = createKeys({ db });
const { authenticate, findEnded } = createAuthenticator(db);
afterAll(() => db.$disconnect());

/** Somebody with a key of a project of their own. */
async function owner(scopes: readonly Scope[] = allScopes): Promise<KeyViewer> {
  const project = await db.project.create({ data: { id: uuid(), name: 'test' } });
  return { kind: 'key', projectId: project.id, keyId: uuid(), scopes };
}

async function jobOf(projectId: string, id = uuid()): Promise<string> {
  const { token, hash } = createJobToken(id);
  await db.job.create({
    data: { id, projectId, kind: 'ARCHIVE', state: 'COMPLETE', source: {}, maxDurationMs: 1000, accessTokenHash: hash },
  });
  return token;
}

describe('an API key', () => {
  test('opens its project with its scopes, and is stored only as a hash', async () => {
    const viewer = await owner();
    const { id, key } = await keys.create({ name: '  player ', scopes: ['files:read', 'jobs:read'] }, viewer);
    expect(await authenticate(key)).toEqual({
      kind: 'key',
      projectId: viewer.projectId,
      keyId: id,
      scopes: ['jobs:read', 'files:read'],
    });
    const row = await db.apiKey.findUniqueOrThrow({ where: { id } });
    expect(row).toMatchObject({ name: 'player', prefix: key.slice(0, 19) });
    expect(JSON.stringify(row)).not.toContain(key.slice(20));
  });

  test('is refused with another secret, and when nobody made it', async () => {
    const { key } = await keys.create({ name: 'one', scopes: ['jobs:read'] }, await owner());
    expect(await authenticate(`${key.slice(0, 20)}${createApiKeyToken().token.slice(20)}`)).toBeNull();
    expect(await authenticate(createApiKeyToken().token)).toBeNull();
    expect(await authenticate('x'.repeat(1_000_000))).toBeNull();
  });

  test('is refused from the moment it is revoked; revoking again changes nothing', async () => {
    const viewer = await owner();
    const { id, key } = await keys.create({ name: 'one', scopes: ['jobs:read'] }, viewer);
    const { revokedAt } = await keys.revoke(id, viewer);
    expect(revokedAt).toBeInstanceOf(Date);
    expect(await authenticate(key)).toBeNull();
    expect((await keys.revoke(id, viewer)).revokedAt).toEqual(revokedAt);
  });

  test('that expires is good until its moment, and says when that is', async () => {
    const expiresAt = new Date(Date.now() + 1_000);
    const { id, key } = await keys.create({ name: 'one', scopes: ['jobs:read'], expiresAt }, await owner());
    expect((await db.apiKey.findUniqueOrThrow({ where: { id } })).expiresAt).toEqual(expiresAt);
    expect(await authenticate(key)).toMatchObject({ keyId: id, expiresAt });
    while (Date.now() < expiresAt.getTime()) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await authenticate(key)).toBeNull();
  });

  test('is found among others when it ended, however it did', async () => {
    const viewer = await owner();
    const make = async (expiresAt?: Date) => keys.create({ name: 'one', scopes: ['jobs:read'], expiresAt }, viewer);
    const [lasting, later, revoked, expired] = [
      await make(),
      await make(new Date(Date.now() + 60_000)),
      await make(),
      await make(new Date(Date.now() + 60_000)),
    ];
    await keys.revoke(revoked.id, viewer);
    await db.apiKey.update({ where: { id: expired.id }, data: { expiresAt: new Date() } });
    const job = await jobOf(viewer.projectId);
    const ended = [
      revoked.key,
      expired.key,
      `${lasting.key.slice(0, 20)}${later.key.slice(20)}`,
      createApiKeyToken().token,
      createJobToken(uuid()).token,
      'nonsense',
    ];
    expect(await findEnded([lasting.key, ...ended, later.key, job])).toEqual(ended);
    expect(await findEnded([])).toEqual([]);
  });

  test('is out of reach of other projects and of job tokens', async () => {
    const viewer = await owner();
    const { id, key } = await keys.create({ name: 'one', scopes: ['jobs:read'] }, viewer);
    const job = { kind: 'job', projectId: viewer.projectId, jobId: uuid(), scopes: allScopes } as const;
    await expect(keys.revoke(id, await owner())).rejects.toThrow(NotFoundError);
    await expect(keys.revoke(id, job)).rejects.toThrow(NotFoundError);
    await expect(keys.revoke('not an id', viewer)).rejects.toThrow(NotFoundError);
    await expect(keys.create({ name: 'two', scopes: ['jobs:read'] }, job)).rejects.toThrow(ValidationError);
    expect(await authenticate(key)).not.toBeNull();
  });

  test('may be made for ten years', async () => {
    const expiresAt = new Date();
    expiresAt.setFullYear(expiresAt.getFullYear() + 10);
    await keys.create({ name: 'one', scopes: ['jobs:read'], expiresAt }, await owner());
  });

  test('cannot make a key that may do more than itself', async () => {
    const viewer = await owner(['keys:write', 'jobs:read']);
    await keys.create({ name: 'same', scopes: ['jobs:read'] }, viewer);
    await expect(keys.create({ name: 'more', scopes: ['jobs:read', 'jobs:write'] }, viewer)).rejects.toThrow(
      'lack jobs:write',
    );
    await expect(keys.create({ name: 'most', scopes: ['admin'] }, viewer)).rejects.toThrow('lack admin');
  });

  test.each([
    ['name', { name: ' ', scopes: ['jobs:read'] }],
    ['name', { name: 'n'.repeat(101), scopes: ['jobs:read'] }],
    ['name', { name: 'a\u0000b', scopes: ['jobs:read'] }],
    ['scopes', { name: 'a', scopes: [] }],
    ['scopes', { name: 'a', scopes: ['jobs:read', 'jobs:fly'] }],
    ['scopes', { name: 'a', scopes: ['toString'] }],
    ['expiresAt', { name: 'a', scopes: ['jobs:read'], expiresAt: new Date() }],
    ['expiresAt', { name: 'a', scopes: ['jobs:read'], expiresAt: new Date(Date.now() + 3_654 * 86_400_000) }],
  ])('is not made with a bad %s', async (field, input) => {
    const refused = keys.create(input, await owner());
    await expect(refused).rejects.toBeInstanceOf(ValidationError);
    await expect(refused).rejects.toMatchObject({ issues: [{ field }] });
  });

  test('notes its use, at most once a minute', async () => {
    const { id, key } = await keys.create({ name: 'one', scopes: ['jobs:read'] }, await owner());
    const lastUsedAt = async () => (await db.apiKey.findUniqueOrThrow({ where: { id } })).lastUsedAt;
    const used = async () => {
      await Promise.all(Array.from({ length: 10 }, () => authenticate(key)));
      for (;;) {
        const at = await lastUsedAt();
        if (at && Date.now() - at.getTime() < 50_000) return at;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const first = await used();
    expect(await used()).toEqual(first);
    await db.apiKey.update({ where: { id }, data: { lastUsedAt: new Date(Date.now() - 61_000) } });
    expect((await used()).getTime()).toBeGreaterThanOrEqual(first.getTime());
  });
});

describe("a job's token", () => {
  test('opens that job alone, and cannot start another', async () => {
    const { projectId } = await owner();
    const jobId = uuid();
    const token = await jobOf(projectId, jobId);
    const scopes = ['jobs:read', 'jobs:write', 'files:read'];
    expect(await authenticate(token)).toEqual({ kind: 'job', projectId, jobId, scopes });
  });

  test('is refused for another job, and with another secret', async () => {
    const { projectId } = await owner();
    const [one, other] = [await jobOf(projectId), await jobOf(projectId)];
    expect(await authenticate(one.slice(0, 37) + other.slice(37))).toBeNull();
    expect(await authenticate(createJobToken(uuid()).token)).toBeNull();
  });
});

describe('the development key', () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'tapedeck-keys-'));
    onTestFinished(() => rmSync(path, { recursive: true }));
    return path;
  }
  const configOf = (dataDir: string, NODE_ENV = 'development') => loadConfig({ DATA_DIR: dataDir, NODE_ENV });

  test('is made once, may do everything, and is readable by its owner only', async () => {
    const config = configOf(join(folder(), 'not-yet'));
    const key = await ensureDevelopmentKey(db, config);
    expect(await ensureDevelopmentKey(db, config)).toBe(key);
    expect(await authenticate(key ?? '')).toMatchObject({ projectId: developmentProjectId, scopes: allScopes });
    const file = join(config.dataDir, 'development-key');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await readFile(file, 'utf8')).trim()).toBe(key);
  });

  test('is one key when several processes start at once', async () => {
    const config = configOf(folder());
    const made = await Promise.all(Array.from({ length: 8 }, () => ensureDevelopmentKey(db, config)));
    expect(new Set(made).size).toBe(1);
    expect(readdirSync(config.dataDir)).toEqual(['development-key']);
  });

  test('is made known to a database that does not know it', async () => {
    const config = configOf(folder());
    const { token, prefix } = createApiKeyToken();
    writeFileSync(join(config.dataDir, 'development-key'), `${token}\n`);
    expect(await ensureDevelopmentKey(db, config)).toBe(token);
    expect(await authenticate(token)).not.toBeNull();
    await db.apiKey.delete({ where: { prefix } });
    expect(await ensureDevelopmentKey(db, config)).toBe(token);
    expect(await authenticate(token)).not.toBeNull();
  });

  test('is replaced when it was revoked, or when its file is damaged', async () => {
    const config = configOf(folder());
    const first = await ensureDevelopmentKey(db, config);
    await db.apiKey.update({ where: { prefix: first?.slice(0, 19) ?? '' }, data: { revokedAt: new Date() } });
    const second = await ensureDevelopmentKey(db, config);
    expect(await authenticate(second ?? '')).not.toBeNull();
    writeFileSync(join(config.dataDir, 'development-key'), 'damaged');
    const third = await ensureDevelopmentKey(db, config);
    expect(await authenticate(third ?? '')).not.toBeNull();
    expect(new Set([first, second, third]).size).toBe(3);
  });

  test('does not exist in production', async () => {
    const dataDir = folder();
    expect(await ensureDevelopmentKey(db, configOf(dataDir, 'production'))).toBeNull();
    expect(readdirSync(dataDir)).toEqual([]);
  });
});
