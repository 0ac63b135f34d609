import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { childEnvironment, loadConfig, noBucket } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { announceStorage } from '../../src/installation.js';
import { createMachines } from '../../src/services/machines.js';
import { storageIdentity } from '../../src/storage/identity.js';
import { checkStorageKey } from '../../src/storage/storage.js';
import { machineId } from '../../worker/machine.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';

const bucket = { S3_BUCKET: 'b', S3_PREFIX: 'p/' };
const folders: string[] = [];
function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-'));
  chmodSync(folder, 0o711);
  folders.push(folder);
  return folder;
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
});

describe('a storage is known', () => {
  const identityOf = (environment: Record<string, string>) => storageIdentity(loadConfig(environment));

  test('as a folder by a mark that stays in it, which is no file of it', () => {
    const folder = dataFolder();
    const identity = identityOf({ DATA_DIR: folder });
    expect(identity).toMatch(/^local:.{12}$/);
    expect(identityOf({ DATA_DIR: folder })).toBe(identity);
    expect(identityOf({ DATA_DIR: dataFolder() })).not.toBe(identity);
    expect(existsSync(join(folder, 'files', '.storage-id'))).toBe(true);
    expect(() => checkStorageKey('.storage-id')).toThrow();
  });

  test('as a bucket by its place, however that is written, and not by who asks', () => {
    const given = { ...bucket, DATA_DIR: dataFolder() };
    expect(identityOf(given)).toBe('s3:aws/b/p/');
    const there = identityOf({ ...given, S3_ENDPOINT: 'https://S3.example.test:443/' });
    expect(there).toBe('s3:https://s3.example.test/b/p/');
    const keys = { S3_ACCESS_KEY_ID: 'key', S3_SECRET_ACCESS_KEY: 'secret' };
    expect(identityOf({ ...given, ...keys, S3_ENDPOINT: 'https://s3.example.test' })).toBe(there);
  });
});

describe('a machine that keeps files where the API does not look', () => {
  let own: OwnDatabase;
  let shared: Database;
  let worker: ChildProcess | undefined;
  beforeAll(async () => {
    own = await ownDatabase();
    shared = createDatabase(inject('stack').databaseUrl, 2);
  });
  afterAll(async () => {
    worker?.kill('SIGKILL');
    await shared.$disconnect();
    await own.remove();
  });

  test('offers nothing until it is known that they are the same', async () => {
    const machines = createMachines({ db: own.db, wake: () => {} });
    const report = (storageId: string) =>
      machines.report({
        id: 'm',
        version: '1',
        slots: 3,
        copySlots: 9,
        displays: 3,
        ...{ cpus: 2, load: 0, memory: 0, freeMemory: 0 },
        isDraining: false,
        inputHost: 'here',
        freeBytes: null,
        storageId,
      });
    const offered = async () => {
      const { slots, copySlots } = await own.db.machine.findUniqueOrThrow({ where: { id: 'm' } });
      return slots + copySlots;
    };
    expect(await report('local:here')).toEqual({ kind: 'storage-unknown' });
    expect(await offered()).toBe(0);
    await announceStorage(own.db, 's3:aws/b/');
    expect(await report('local:here')).toEqual({ kind: 'other-storage', servedFrom: 's3:aws/b/' });
    expect(await offered()).toBe(0);
    expect(await report('s3:aws/b/')).toEqual({ kind: 'offered' });
    expect(await offered()).toBe(12);
  });

  test('is told so in its log, once, while the machine beside the API gets the jobs', async () => {
    const { databaseUrl, temporalAddress, dataDir } = inject('stack');
    const elsewhere = dataFolder();
    let log = '';
    worker = spawn(process.execPath, ['--import', 'tsx', 'worker/main.ts', '--role', 'recorder'], {
      cwd: loadConfig().projectRoot,
      stdio: ['ignore', 'pipe', 'ignore', 'ipc'],
      env: childEnvironment({
        ...{ ...noBucket, DATA_DIR: elsewhere, DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporalAddress },
        LOG_LEVEL: 'info',
      }),
    });
    worker.stdout?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    const advice = /"servedFrom":"local:[^"]+".*Set S3_BUCKET to the API's bucket/g;
    await expect.poll(() => log, { timeout: 30_000 }).toMatch(advice);
    const row = (folder: string) =>
      shared.machine.findUniqueOrThrow({ where: { id: readFileSync(join(folder, 'machine-id'), 'utf8') } });
    const { slots, lastSeenAt } = await row(elsewhere);
    expect(slots).toBe(0);
    expect((await row(dataDir)).slots).toBeGreaterThan(0);
    // Its next report says the same.
    await expect.poll(async () => (await row(elsewhere)).lastSeenAt > lastSeenAt, { timeout: 30_000 }).toBe(true);
    expect(log.match(advice)).toHaveLength(1);
    const exit = once(worker, 'exit');
    worker.kill('SIGTERM');
    expect((await exit)[0]).toBe(0);
    expect(machineId(loadConfig({ DATA_DIR: elsewhere }))).toBe(readFileSync(join(elsewhere, 'machine-id'), 'utf8'));
  }, 60_000);
});
