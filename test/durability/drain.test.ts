import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { findHost } from '../../worker/host/client.js';
import { endHosts, incarnationFolder } from '../../worker/host/folders.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { type S3Server, startS3 } from '../testkit/s3.js';

const small = { width: 320, height: 240 };
const patience = { timeout: 30_000 };

describe('a recorder worker that is told to drain', () => {
  const folder = temporaryDataFolder();
  const dataDir = mkdtempSync(join(tmpdir(), 'tapedeck-'));
  let s3: S3Server;
  let stack: Stack;
  let kit: ArchiveKit;
  let db: Database;
  const workers: ChildProcess[] = [];

  beforeAll(async () => {
    chmodSync(dataDir, 0o711);
    s3 = await startS3({ folder: join(folder.dataDir, 's3') });
    stack = await startStack({
      config: isolatedConfig(folder.dataDir),
      settings: s3.environment,
      services: ['api', 'jobs'],
      log: () => {},
    });
    kit = createArchiveKit(stack);
    db = createDatabase(stack.databaseUrl, 2);
  });
  afterAll(async () => {
    for (const worker of workers) worker.kill('SIGKILL');
    await kit.close();
    await db.$disconnect();
    await stack.stop();
    await s3.stop();
    folder.remove();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 });
  });

  /** A worker as it is run by hand on a machine of its own. */
  async function startWorker(place = dataDir): Promise<ChildProcess> {
    const worker = spawn(process.execPath, ['--import', 'tsx', 'worker/main.ts', '--role', 'recorder'], {
      cwd: loadConfig().projectRoot,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: childEnvironment({
        ...s3.environment,
        ...{ DATA_DIR: place, DATABASE_URL: stack.databaseUrl, TEMPORAL_ADDRESS: stack.temporalAddress },
        // Where the demo page is served.
        PUBLIC_URL: stack.url,
      }),
    });
    workers.push(worker);
    await once(worker, 'message');
    return worker;
  }
  const exitOf = async (worker: ChildProcess) => (await once(worker, 'exit'))[0] as number | null;
  const machineAt = (place = dataDir) =>
    db.machine.findUnique({ where: { id: readFileSync(join(place, 'machine-id'), 'utf8').trim() } });
  const offered = async () => (await machineAt())?.slots;

  test('takes nothing new, lets its recording come to its end and its file, and exits', async () => {
    const worker = await startWorker();
    const archive = await kit.start({ ...small, maxDuration: 6 });
    await archive.recordedFor(1_000);
    const exit = exitOf(worker);
    worker.kill('SIGQUIT');
    await expect.poll(offered, patience).toBe(0);
    const next = await kit.start({ ...small, maxDuration: 2 });
    const result = await archive.until('COMPLETE');
    expect(result.gaps).toEqual([]);
    expect(await exit).toBe(0);
    await expectPlayable(await archive.download(folder.dataDir), { durationMs: (result.duration as number) * 1000 });
    expect((await next.facts()).state).toBe('QUEUED');
    expect(await next.cancel()).toBe('CANCELED');
  }, 120_000);

  test('told twice, it leaves at once, and its recording goes on with the next worker', async () => {
    const worker = await startWorker();
    const archive = await kit.start({ ...small, maxDuration: 60 });
    await archive.recordedFor(1_000);
    const jobFolder = join(dataDir, 'jobs', archive.jobId);
    const host = findHost(incarnationFolder(jobFolder, 1))?.pid;
    const exit = exitOf(worker);
    worker.kill('SIGQUIT');
    await expect.poll(offered, patience).toBe(0);
    worker.kill('SIGQUIT');
    expect(await exit).toBe(0);
    expect(findHost(incarnationFolder(jobFolder, 1))?.pid).toBe(host);
    const next = await startWorker();
    await archive.recordedFor(3_000);
    await archive.stop();
    expect((await archive.until('COMPLETE')).gaps).toEqual([]);
    const end = exitOf(next);
    next.kill('SIGTERM');
    expect(await end).toBe(0);
    await endHosts(jobFolder);
  }, 120_000);

  test('told to hand over, it gives what it records to another machine as soon as one has room, and exits', async () => {
    const other = mkdtempSync(join(tmpdir(), 'tapedeck-'));
    chmodSync(other, 0o711);
    onTestFinished(() => rmSync(other, { recursive: true, force: true, maxRetries: 3 }));
    const leaving = await startWorker();
    const archive = await kit.start({ ...small, maxDuration: 60 });
    await archive.recordedFor(2_000);
    const exit = exitOf(leaving);
    leaving.kill('SIGUSR2');
    await expect.poll(async () => (await machineAt())?.isDraining, patience).toBe(true);
    // Nobody else is there: what is live is recorded on.
    await archive.recordedFor(4_000);
    expect((await archive.facts()).gaps).toEqual([]);
    const next = await startWorker(other);
    expect(await exit).toBe(0);
    await archive.recordedFor(7_000);
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.gaps).toMatchObject([{ cause: 'SUSPENDED' }]);
    expect(result.lostDuration).toBeLessThan(12);
    const machines = await db.part.findMany({ where: { jobId: archive.jobId }, orderBy: { incarnation: 'asc' } });
    expect(machines.map(({ machineId }) => machineId)).toEqual([(await machineAt())?.id, (await machineAt(other))?.id]);
    await expectPlayable(await archive.download(folder.dataDir), { durationMs: (result.duration as number) * 1000 });
    const end = exitOf(next);
    next.kill('SIGTERM');
    expect(await end).toBe(0);
  }, 150_000);
});
