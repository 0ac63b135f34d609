import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Config, childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { jobWorkflowId } from '../../src/jobs/messages.js';
import { reconcile } from '../../src/services/reconciler.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { findHost } from '../../worker/host/client.js';
import { type ArchiveKit, createArchiveKit, type TestArchive } from '../testkit/archives.js';
import { createJobRow } from '../testkit/jobs.js';
import { expectPlayable } from '../testkit/media.js';
import { contentReport } from '../testkit/media-report.js';

describe('a recording survives', () => {
  const folder = temporaryDataFolder();
  let config: Config;
  let stack: Stack;
  let kit: ArchiveKit;
  let db: Database;
  /** The same after a restart, since the recorded page is served there. */
  let url: string | undefined;

  async function start(): Promise<void> {
    const isolated = isolatedConfig(folder.dataDir);
    const settings = url ? { ...isolated, port: Number(new URL(url).port), publicUrl: url } : isolated;
    stack = await startStack({ config: settings, log: () => {} });
    url = stack.url;
    kit = createArchiveKit(stack);
    db = createDatabase(stack.databaseUrl);
    config = loadConfig(
      childEnvironment({
        DATA_DIR: folder.dataDir,
        DATABASE_URL: stack.databaseUrl,
        TEMPORAL_ADDRESS: stack.temporalAddress,
      }),
    );
  }
  async function stop(): Promise<void> {
    await kit.close();
    await db.$disconnect();
    await stack.stop();
  }
  beforeAll(start);
  afterAll(async () => {
    await stop();
    folder.remove();
  });

  /** The host that records the archive now. */
  function hostOf(archive: Pick<TestArchive, 'jobId'>): number {
    const jobFolder = join(folder.dataDir, 'jobs', archive.jobId);
    const newest = readdirSync(jobFolder).filter((name) => /^i\d+$/.test(name)).length;
    const host = findHost(join(jobFolder, `i${newest}`));
    if (!host) throw new Error('nobody records');
    return host.pid;
  }

  /** The page counts 30 a second: what is missing between the first and the last number was not recorded. */
  async function lostSecondsIn(file: string): Promise<number> {
    const { missing } = await contentReport(file);
    // Single pictures fall between two of the page's own; a gap is longer.
    return (
      missing
        .map(([from, to]) => to - from + 1)
        .filter((count) => count > 5)
        .reduce((sum, count) => sum + count, 0) / 30
    );
  }

  test('a kill of ffmpeg: the same job goes on as its next part, and says exactly what is missing', async () => {
    const archive = await kit.start({ width: 640, height: 480, maxDuration: 60 });
    await archive.recordedFor(3_000);
    const ffmpeg = execFileSync('pgrep', ['-P', String(hostOf(archive)), '-x', 'ffmpeg'], { encoding: 'utf8' });
    process.kill(Number(ffmpeg), 'SIGKILL');
    await archive.recordedFor(7_000);
    expect(await archive.cancel()).toBe('INVALID_STATE');
    expect(await archive.stop('once')).toBe('STOPPED');
    expect(await archive.stop()).toBe('INVALID_STATE');
    const result = await archive.until('COMPLETE');
    // The same request again: its first answer, not a complaint that the job has ended.
    expect(await archive.stop('once')).toBe('COMPLETE');
    const file = await archive.download(folder.dataDir);
    await expectPlayable(file, { width: 640, height: 480, durationMs: (result.duration as number) * 1000 });
    expect(result.reason).toBe('USER_INITIATED');
    expect(result.gaps).toHaveLength(1);
    expect(result.gaps[0]?.cause).toBe('ENCODER_DIED');
    // Read back from the pictures: what the job says was lost is what is missing.
    expect(Math.abs((await lostSecondsIn(file)) - (result.lostDuration as number))).toBeLessThan(0.35);
    expect(createHash('sha256').update(readFileSync(file)).digest('base64')).toBe(result.sha256sum);
  }, 90_000);

  test('a kill of the recorder worker: the next one finds the host recording, and no picture is missing', async () => {
    const archive = await kit.start({ maxDuration: 60 });
    await archive.recordedFor(2_000);
    const host = hostOf(archive);
    await stack.kill('recorder', 'SIGKILL');
    await stack.ready('recorder');
    await archive.recordedFor(5_000);
    expect(hostOf(archive)).toBe(host);
    expect(await archive.stop()).toBe('STOPPED');
    const result = await archive.until('COMPLETE');
    expect(result.gaps).toEqual([]);
    expect(await lostSecondsIn(await archive.download(folder.dataDir))).toBe(0);
  }, 120_000);

  test('a kill of its recorder host: another one goes on with the same job', async () => {
    const archive = await kit.start({ maxDuration: 60 });
    await archive.recordedFor(2_000);
    const host = hostOf(archive);
    process.kill(host, 'SIGKILL');
    await archive.recordedFor(5_000);
    expect(hostOf(archive)).not.toBe(host);
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['HOST_DIED']);
    await expectPlayable(await archive.download(folder.dataDir), { durationMs: (result.duration as number) * 1000 });
  }, 120_000);

  test('a recorder host that hangs: it is killed, and another one goes on with the same job', async () => {
    const archive = await kit.start({ maxDuration: 120 });
    await archive.recordedFor(2_000);
    process.kill(hostOf(archive), 'SIGSTOP');
    // Given up after 10 s without a word and 30 s of patience.
    await expect.poll(async () => (await archive.facts()).gaps.length, { timeout: 75_000 }).toBe(1);
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['HOST_DIED']);
  }, 150_000);

  test('a job that ended between being asked for and being placed holds no place', async () => {
    const { projectId } = await db.apiKey.findFirstOrThrow();
    const jobId = await createJobRow(db, projectId, 'CANCELED');
    await db.placement.create({ data: { jobId } });
    await expect.poll(() => db.placement.findUnique({ where: { jobId } })).toBeNull();
  });

  test('a kill of the API: the recording goes on, and a client that comes back gets every event once', async () => {
    const archive = await kit.start({ maxDuration: 8 });
    await archive.until('RECORDING');
    const following = archive.events();
    await stack.kill('api', 'SIGKILL');
    await stack.ready('api');
    const events = await following;
    const sequences = events.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] as number) + index));
    const result = await archive.until('COMPLETE');
    expect(result.reason).toBe('MAXIMUM_DURATION');
    expect(Math.abs((result.duration as number) - 8)).toBeLessThan(0.2);
  }, 120_000);

  test.each(['postgres', 'temporal', 'jobs'] as const)(
    'a kill of %s: no picture is missing, and the job can be stopped',
    async (name) => {
      const archive = await kit.start({ maxDuration: 120 });
      await archive.recordedFor(2_000);
      await stack.kill(name, 'SIGKILL');
      await stack.ready(name);
      await archive.recordedFor(5_000);
      // While its engine is still finding itself again, a stop may be answered "ask again".
      await expect
        .poll(() => archive.stop(`after ${name}`), { timeout: 40_000, interval: 1_000 })
        .not.toBe('UNAVAILABLE');
      const result = await archive.until('COMPLETE');
      expect(result.gaps).toEqual([]);
      expect(await lostSecondsIn(await archive.download(folder.dataDir))).toBe(0);
    },
    150_000,
  );

  test('the loss of its workflow: the reconciler starts another, which goes on where the recording is', async () => {
    const archive = await kit.start({ maxDuration: 60 });
    await archive.recordedFor(2_000);
    const client = createTemporalClient(config);
    await client.workflow.getHandle(jobWorkflowId(archive.jobId)).terminate('a lost store');
    await db.job.update({ where: { id: archive.jobId }, data: { stateSince: new Date(Date.now() - 60_000) } });
    const deps = { db, engine: createEngine(client), config, log: pino({ level: 'silent' }) };
    expect(await reconcile(deps)).toBe(1);
    expect(await reconcile(deps)).toBe(0);
    await archive.recordedFor(5_000);
    expect(await archive.stop()).toBe('STOPPED');
    const result = await archive.until('COMPLETE');
    expect(result.gaps).toEqual([]);
    await client.connection.close();
  }, 120_000);

  test('a job whose workflow was never started is started by the reconciler, and ends', async () => {
    const { projectId } = await db.apiKey.findFirstOrThrow();
    const jobId = await createJobRow(db, projectId);
    await db.job.update({ where: { id: jobId }, data: { stateSince: new Date(Date.now() - 60_000) } });
    const client = createTemporalClient(config);
    await reconcile({ db, engine: createEngine(client), config, log: pino({ level: 'silent' }) });
    await expect
      .poll(async () => (await db.job.findUniqueOrThrow({ where: { id: jobId } })).state, { timeout: 30_000 })
      .toBe('FAILED');
    const job = await db.job.findUniqueOrThrow({ where: { id: jobId } });
    // The row was not checked when it was made; the recorder's own gate refuses the private address.
    expect(job.reason).toBe('URL_REFUSED');
    await client.connection.close();
  }, 60_000);

  test('a stop of the whole service: the part is closed, and the job goes on at the next start', async () => {
    const archive = await kit.start({ maxDuration: 120 });
    await archive.recordedFor(2_000);
    await stop();
    expect(() => hostOf(archive)).toThrow('nobody records');
    await start();
    const again = kit.find(archive.id);
    expect(['RECONNECTING', 'RECORDING']).toContain((await again.facts()).state);
    await again.recordedFor(4_000);
    await again.stop();
    const result = await again.until('COMPLETE');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['SUSPENDED']);
    await expectPlayable(await again.download(folder.dataDir), { durationMs: (result.duration as number) * 1000 });
  }, 150_000);
});
