import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { identify, isRunning, type ProcessIdentity } from '../../src/process-identity.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { choosePorts } from '../../stack/ports.js';
import { openCluster, postgresServer } from '../../stack/postgres.js';
import { untilGone } from '../../stack/process-end.js';
import { type Stack, startStack } from '../../stack/stack.js';

// Each test starts servers two or three times, which takes ten times as long while others record.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let folder: ReturnType<typeof temporaryDataFolder>;
const stacks: Stack[] = [];

beforeEach(() => {
  folder = temporaryDataFolder();
});
afterEach(async () => {
  await Promise.all(stacks.splice(0).map((stack) => stack.stop()));
  folder.remove();
});

/** The database with its migrations, the media server, and the engine where a test needs it, without our own processes. */
async function servers({ dataDir = folder.dataDir, postgresPort = 0, engine = false } = {}) {
  const config = { ...isolatedConfig(dataDir), postgresPort };
  if (!engine) config.temporal.address = 'not-needed:7233';
  const stack = await startStack({ config, services: [], log: () => {} });
  stacks.push(stack);
  return stack;
}

async function query(databaseUrl: string, sql: string) {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const postmaster = (data: string) =>
  identify(Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])) as ProcessIdentity;

test('what was written is there after a stop and a start', async () => {
  const first = await servers();
  await query(first.databaseUrl, `INSERT INTO project (id, name) VALUES (gen_random_uuid(), 'kept')`);
  await first.stop();
  stacks.length = 0;
  const second = await servers();
  expect(await query(second.databaseUrl, 'SELECT name FROM project')).toEqual([{ name: 'kept' }]);
});

test('a second stack on the same data folder says who holds it, and leaves the first alone', async () => {
  const first = await servers();
  await expect(servers()).rejects.toThrow(
    `Another Tapedeck uses the data folder ${folder.dataDir} (process ${process.pid}, since 20`,
  );
  expect(await query(first.databaseUrl, 'SELECT 1 AS alive')).toEqual([{ alive: 1 }]);
});

test('a database, engine or media server that is killed comes back at its address', async () => {
  const stack = await servers({ engine: true });
  for (const name of ['postgres', 'temporal', 'janus'] as const) {
    const before = stack.pid(name);
    await stack.kill(name, 'SIGKILL');
    await stack.ready(name);
    expect(stack.pid(name)).not.toBe(before);
  }
  expect(await query(stack.databaseUrl, 'SELECT count(*)::int AS jobs FROM job')).toEqual([{ jobs: 0 }]);
});

test('a taken port is named together with its setting, and nothing is left running', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  await expect(servers({ postgresPort: port })).rejects.toThrow(
    `Port ${port} is used by another program. Stop it, or set POSTGRES_PORT to a free port.`,
  );
  other.close();
  await servers();
});

test('nobody but the holder of the password gets in', async () => {
  const { databaseUrl } = await servers();
  const wrong = new URL(databaseUrl);
  wrong.password = 'guess';
  await expect(query(wrong.href, 'SELECT 1')).rejects.toThrow('password authentication failed');
  expect(statSync(join(folder.dataDir, 'postgres-password')).mode & 0o777).toBe(0o600);
});

describe('after a stack was killed', () => {
  test('a Postgres that it left running is ended and its data taken over', async () => {
    await (await servers()).stop();
    stacks.length = 0;
    const cluster = await openCluster(folder.dataDir);
    const { port } = await choosePorts({ port: { host: '127.0.0.1', port: 0, needed: true } });
    const { file, args, env } = await postgresServer(cluster, port).spec.command();
    // Without the signal that the kernel sends at its parent's death, as if that had failed.
    const detached = args.map((arg) => (arg === 'INT' ? 'clear' : arg));
    const orphan = spawn(file, detached, { cwd: '/', env, detached: true, stdio: 'ignore' });
    await vi.waitUntil(() => existsSync(join(cluster.data, 'postmaster.pid')), { timeout: 10_000 });
    const identity = identify(orphan.pid as number) as ProcessIdentity;
    const stack = await servers();
    expect(isRunning(identity)).toBe(false);
    expect(await query(stack.databaseUrl, 'SELECT count(*)::int AS jobs FROM job')).toEqual([{ jobs: 0 }]);
  });

  test('its database, engine and media server end by themselves, and the next stack starts', async () => {
    const script = `
      import { isolatedConfig } from './stack/isolated.js';
      import { startStack } from './stack/stack.js';
      await startStack({ config: isolatedConfig(${JSON.stringify(folder.dataDir)}), services: [], log() {} });
      process.send('started');`;
    const args = ['--import', 'tsx', '--input-type=module', '-e', script];
    const other = spawn(process.execPath, args, {
      cwd: isolatedConfig('').projectRoot,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    await new Promise((resolve) => other.once('message', resolve));
    const database = postmaster(join(folder.dataDir, 'postgres'));
    const notes = JSON.parse(readFileSync(join(folder.dataDir, 'processes.json'), 'utf8'));
    other.kill('SIGKILL');
    expect(await untilGone(database, 15_000)).toBe(true);
    expect(await untilGone(notes.temporal, 15_000)).toBe(true);
    expect(await untilGone(notes.janus, 15_000)).toBe(true);
    await servers();
  });
});

describe.runIf(process.getuid?.() === 0)('as root', () => {
  test('below a folder that only root may enter, the database lives where its user can reach it', async () => {
    const closed = mkdtempSync(join(tmpdir(), 'tapedeck-closed-'));
    const dataDir = join(closed, 'clone', '.data');
    mkdirSync(dataDir, { recursive: true });
    try {
      const stack = await servers({ dataDir });
      expect(await query(stack.databaseUrl, 'SELECT count(*)::int AS jobs FROM job')).toEqual([{ jobs: 0 }]);
      await stack.stop();
      stacks.length = 0;
      expect(readlinkSync(join(dataDir, 'postgres'))).toMatch(/^\/var\/lib\/tapedeck\//);
      await servers({ dataDir });
      await stacks.pop()?.stop();
    } finally {
      rmSync(dirname(readlinkSync(join(dataDir, 'postgres'))), { recursive: true, force: true });
      rmSync(closed, { recursive: true, force: true });
    }
  });
});
