import { readdirSync } from 'node:fs';
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

  test('a recorder host that hangs: it is killed, and another one goes on with the same job', async () => {
    const archive = await kit.start({ maxDuration: 120 });
    await archive.recordedFor(2_000);
    process.kill(hostOf(archive), 'SIGSTOP');
    // Given up after 10 s without a word and 20 s of patience.
    await expect.poll(async () => (await archive.facts()).gaps.length, { timeout: 75_000 }).toBe(1);
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['HOST_DIED']);
  }, 150_000);

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
