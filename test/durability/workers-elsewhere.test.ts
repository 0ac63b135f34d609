/** Recorder workers on other machines, as far as one can have them on one: hosts with networks, names and disks of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LiveCard, startLiveCard } from '../../chaos/live-card.js';
import { outside, readPictures } from '../../chaos/pictures.js';
import { childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { version } from '../../src/version.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { api } from '../testkit/api.js';
import { createRecordingKit, type RecordingKit, type TestRecording } from '../testkit/recordings.js';
import { type S3Server, startS3 } from '../testkit/s3.js';
import { networkObstacle, openNetwork, type SeparateHost, type SeparateNetwork } from '../testkit/separate-hosts.js';

const patience = { timeout: 40_000 };
const machineTimeoutSeconds = 10;
/** What one second of shipping, and the way of what is on its way, may cost. */
const unshippedMs = 1_500;

interface WorkerRow {
  id: string;
  hostname: string;
  version: string;
  state: string;
  copying: number;
}

const obstacle = networkObstacle();

describe.skipIf(obstacle !== null)(`workers on other machines${obstacle ? ` (${obstacle})` : ''}`, () => {
  const folder = temporaryDataFolder();
  const disks: string[] = [];
  let network: SeparateNetwork;
  let s3: S3Server;
  let storage: Record<string, string>;
  let stack: Stack;
  let kit: RecordingKit;
  let db: Database;
  let card: LiveCard;
  let cardUrl: string;

  beforeAll(async () => {
    network = openNetwork();
    s3 = await startS3({ folder: join(folder.dataDir, 's3') });
    const place = new URL(s3.environment.S3_ENDPOINT as string);
    await network.offer(Number(place.port));
    // All machines and the API call the storage by one address: by it they know that it is the same.
    storage = { ...s3.environment, S3_ENDPOINT: `http://${network.address}:${place.port}` };
    stack = await startStack({
      config: isolatedConfig(folder.dataDir),
      settings: {
        ...storage,
        ALLOWED_NETWORKS: network.range,
        MACHINE_TIMEOUT_SECONDS: String(machineTimeoutSeconds),
      },
      services: ['api', 'jobs'],
      log: () => {},
    });
    await network.offer(Number(new URL(stack.databaseUrl).port));
    await network.offer(Number(new URL(`http://${stack.temporalAddress}`).port));
    kit = createRecordingKit(stack);
    db = createDatabase(stack.databaseUrl, 2);
  });
  afterAll(async () => {
    await network?.close();
    await card?.close();
    await kit?.close();
    await db?.$disconnect();
    await stack?.stop();
    await s3?.stop();
    for (const disk of disks) rmSync(disk, { recursive: true, force: true, maxRetries: 3 });
    folder.remove();
  });

  /** An address of this machine, as those on the hosts have to call it. */
  function fromThere(url: string): string {
    const there = new URL(url);
    there.hostname = network.address;
    return there.href;
  }

  /** A worker as it is run by hand on another machine. Resolves when it is ready. */
  async function startWorker(host: SeparateHost): Promise<ChildProcess> {
    const disk = mkdtempSync(join(tmpdir(), 'tapedeck-'));
    chmodSync(disk, 0o711);
    disks.push(disk);
    const { file, args } = host.command(process.execPath, ['--import', 'tsx', 'worker/main.ts', '--role', 'recorder']);
    const worker = spawn(file, args, {
      cwd: loadConfig().projectRoot,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: childEnvironment({
        ...storage,
        DATABASE_URL: fromThere(stack.databaseUrl),
        TEMPORAL_ADDRESS: `${network.address}:${new URL(`http://${stack.temporalAddress}`).port}`,
        DATA_DIR: disk,
        // What is recorded here has a private address.
        ALLOWED_NETWORKS: network.range,
      }),
    });
    await once(worker, 'message');
    return worker;
  }

  const workers = async (): Promise<WorkerRow[]> =>
    (
      await api(stack.apiKey, stack.url).get<{ workers: WorkerRow[] }>(
        '{ workers { id hostname version state copying } }',
      )
    ).workers;
  const stateOf = async (name: string) => (await workers()).find(({ hostname }) => hostname === name)?.state ?? 'gone';
  /** Names of the hosts that have recorded the newest run, in that order. */
  async function hostsOf(recording: TestRecording): Promise<string[]> {
    const jobId = await recording.runJobId();
    const parts = await db.part.findMany({ where: { jobId }, orderBy: { incarnation: 'asc' } });
    const known = await db.machine.findMany();
    return parts.map(({ machineId }) => known.find(({ id }) => id === machineId)?.hostname ?? 'nobody');
  }
  const record = () => kit.create({ input: { type: 'RTMP_URL', url: cardUrl } });

  test('they share the work, go on with that of one that is cut off and dies, and leave one by one', async () => {
    const names = ['rec-one', 'rec-two', 'rec-three'];
    const hosts = names.map((name) => network.addHost(name));
    const processes = new Map<string, ChildProcess>();
    await Promise.all(hosts.map(async (host) => processes.set(host.name, await startWorker(host))));
    await expect
      .poll(async () => (await workers()).map(({ hostname, state }) => `${hostname} ${state}`).sort(), patience)
      .toEqual(['rec-one ONLINE', 'rec-three ONLINE', 'rec-two ONLINE']);
    expect(new Set((await workers()).map((worker) => worker.version))).toEqual(new Set([version]));

    card = await startLiveCard();
    await network.offer(Number(new URL(card.url).port));
    cardUrl = fromThere(card.url);
    const recordings = [await record(), await record(), await record()];
    for (const recording of recordings) await recording.recordedFor(2_000);
    const first = await Promise.all(recordings.map(async (recording) => (await hostsOf(recording))[0] as string));
    expect([...first].sort()).toEqual([...names].sort());
    const [lostName, leavingName, lastName] = first as [string, string, string];
    const [lost, leaving] = recordings as [TestRecording, TestRecording];
    const hostCalled = (name: string) => hosts.find((host) => host.name === name) as SeparateHost;

    // Cut off it records nothing more, and nobody hears of it; then it is gone with all it had.
    const cutAt = Date.now();
    hostCalled(lostName).cut();
    await sleep(1_000);
    hostCalled(lostName).kill();
    await expect.poll(async () => (await hostsOf(lost)).length, patience).toBe(2);
    expect((await hostsOf(lost))[1]).not.toBe(lostName);
    const goneOnAt = Date.now();

    const exitOf = async (name: string) =>
      (await once(processes.get(name) as ChildProcess, 'exit'))[0] as number | null;
    const left = exitOf(leavingName);
    processes.get(leavingName)?.kill('SIGUSR2');
    expect(await left).toBe(0);
    await expect.poll(async () => (await hostsOf(leaving)).at(-1), patience).toBe(lastName);
    await lost.recordedFor(6_000);

    const drained = exitOf(lastName);
    processes.get(lastName)?.kill('SIGQUIT');
    await expect.poll(() => stateOf(lastName), patience).toBe('DRAINING');
    const late = await record();
    const files = await Promise.all(recordings.map((recording) => recording.finish()));
    expect(await drained).toBe(0);
    expect((await late.run()).state).toBe('QUEUED');
    for (const name of [leavingName, lastName]) await expect.poll(() => stateOf(name), patience).toBe('gone');
    expect(['LOST', 'gone']).toContain(await stateOf(lostName));

    for (const [index, made] of files.entries()) {
      expect(made).toHaveLength(1);
      const run = await (recordings[index] as TestRecording).run();
      expect(run.state).toBe('COMPLETE');
    }
    expect((await lost.run()).gaps[0]?.cause).toBe('MACHINE_LOST');
    expect((await leaving.run()).gaps.map(({ cause }) => cause)).toContain('SUSPENDED');
    const [file] = files[0] ?? [];
    if (!file) throw new Error('There is no file of what the lost machine recorded.');
    const { seen, missing } = await readPictures(await lost.download(file, folder.dataDir), card.clock);
    // Both stretches are in it: what it had recorded before it was cut off, and what came after.
    expect(seen.filter((at) => at > cutAt - unshippedMs - 1_000 && at <= cutAt).length).toBeGreaterThan(0);
    expect(seen.at(-1)).toBeGreaterThan(goneOnAt);
    expect(missing.flatMap((span) => outside(span, [{ from: cutAt - unshippedMs, to: Date.now() }]))).toEqual([]);
  }, 180_000);
});
