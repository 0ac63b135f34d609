/** What recorders ship while they record: what of it comes back when their machine is lost, on a real S3 server. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, type TestContext, test } from 'vitest';
import { strangerEnvironment } from '../../src/config.js';
import { hostFiles, type ManifestEntry, partFile } from '../../src/jobs/capture.js';
import { identify } from '../../src/process-identity.js';
import { createLocalStorage } from '../../src/storage/local.js';
import type { PartStore } from '../../src/storage/parts.js';
import { connectS3 } from '../../src/storage/s3-connection.js';
import { createS3PartStore } from '../../src/storage/s3-parts.js';
import { StorageFullError } from '../../src/storage/storage.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import { findRecorded } from '../../worker/finalize/recorded.js';
import { fetchShippedParts, removeShippedParts } from '../../worker/shipping/fetch.js';
import { rangeKey } from '../../worker/shipping/keys.js';
import { createShippedPart } from '../../worker/shipping/shipped-part.js';
import { startShipper } from '../../worker/shipping/shipper.js';
import { cardInputs } from '../testkit/media-card.js';
import { mediaTools, smallCard, writeKilledPart, writePart } from '../testkit/media-parts.js';
import { type S3Server, startS3 } from '../testkit/s3.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-shipping-'));
const limits = { idleLimitMs: 2_000, attempts: 2 };

let s3: S3Server;
let store: PartStore;
beforeAll(async () => {
  s3 = await startS3({ folder: join(folder, 's3') });
  store = createS3PartStore(connectS3(s3.settings, limits));
});
afterAll(async () => {
  await s3.stop();
  rmSync(folder, { recursive: true });
});

/** A job as one machine has it: `i1` is there, with the beginning of a manifest. */
function jobOnMachine(jobId: string) {
  const jobFolder = join(mkdtempSync(join(folder, 'machine-')), jobId);
  const incarnation = join(jobFolder, 'i1');
  mkdirSync(incarnation, { recursive: true });
  const say = (entry: ManifestEntry) =>
    appendFileSync(join(incarnation, hostFiles.manifest), `${JSON.stringify(entry)}\n`);
  say({ type: 'part-started', part: 1, at: 1_000 });
  return { jobId, jobFolder, incarnation, part: (number: number) => join(incarnation, partFile(number)), say };
}

/** Another machine's folder for the same job, with what the storage has of it. */
async function onAnotherMachine(jobId: string, from = store) {
  const jobFolder = join(mkdtempSync(join(folder, 'machine-')), jobId);
  const { fetched } = await fetchShippedParts({ store: from, jobFolder, jobId, diskReserveBytes: 0 });
  return {
    jobFolder,
    fetched,
    part: (number: number, incarnation = 1) => join(jobFolder, `i${incarnation}`, partFile(number)),
  };
}

function shipperOf(job: ReturnType<typeof jobOnMachine>, to = store) {
  const notes: string[] = [];
  const shipper = startShipper({
    store: to,
    folder: job.incarnation,
    jobId: job.jobId,
    incarnation: 1,
    note: (text) => notes.push(text),
  });
  return { ...shipper, notes };
}

/** A shipper in a process of its own, to be killed. Resolves when it has begun. */
async function shipperProcess(
  job: ReturnType<typeof jobOnMachine>,
  onTestFinished: TestContext['onTestFinished'],
): Promise<ChildProcess> {
  const from = (path: string) => JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
  const program = `
    import { loadConfig } from ${from('src/config.ts')};
    import { openPartStore } from ${from('src/storage/open.ts')};
    import { startShipper } from ${from('worker/shipping/shipper.ts')};
    startShipper({ store: openPartStore(loadConfig()), folder: process.argv[1], jobId: process.argv[2], incarnation: 1, note: console.error });
    console.log('begun');`;
  const args = [
    '--import',
    import.meta.resolve('tsx'),
    '--input-type=module',
    '-e',
    program,
    job.incarnation,
    job.jobId,
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: strangerEnvironment(s3.environment),
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout as NodeJS.EventEmitter, 'data');
  return child;
}

/** Decodes it all; throws when ffmpeg has anything to say about it. */
async function frameCount(file: string): Promise<number> {
  const { stderr } = await promisify(execFile)('ffmpeg', ['-v', 'error', '-i', file, '-f', 'null', '-']);
  if (stderr) throw new Error(stderr);
  const args = ['-v', 'error', '-select_streams', 'v', '-count_packets', '-show_entries', 'stream=nb_read_packets'];
  const { stdout } = await promisify(execFile)('ffprobe', [...args, '-of', 'csv=p=0', file]);
  return Number(stdout.trim());
}

const keysOf = async (jobId: string): Promise<string[]> => (await store.list(`${jobId}/`)).map(({ key }) => key);

describe.concurrent('a machine that is lost', () => {
  test('costs about a second of what it recorded, and the result says so', async ({ expect, onTestFinished }) => {
    const job = jobOnMachine('lost');
    const shipper = await shipperProcess(job, onTestFinished);
    const writing = writeKilledPart(job.part(1), 5);
    job.say({ type: 'first-frame', part: 1, at: 1_790_000_000_000 });
    await writing;
    shipper.kill('SIGKILL');
    await once(shipper, 'close');

    const local = readFileSync(job.part(1));
    const frames = await frameCount(job.part(1));
    rmSync(job.jobFolder, { recursive: true });
    const other = await onAnotherMachine('lost');
    expect(other.fetched).toBe(1);
    const back = readFileSync(other.part(1));
    expect(back.equals(local.subarray(0, back.length))).toBe(true);
    expect(frames - (await frameCount(other.part(1)))).toBeLessThanOrEqual(2 * 30);

    const storage = createLocalStorage(join(other.jobFolder, 'files'));
    const { parts } = await finalizeJob({
      jobFolder: other.jobFolder,
      jobId: 'lost',
      name: 'Lost',
      storage,
      tools: mediaTools,
    });
    expect(parts).toMatchObject([{ incarnation: 1, number: 1, endCause: 'MACHINE_LOST' }]);
    // By the manifest's clock, which came along; a part begins with its first packet, tens of milliseconds into it.
    expect(Math.abs((parts[0]?.startedAt.getTime() ?? 0) - 1_790_000_000_000)).toBeLessThan(250);
  });

  test('costs nothing of parts that were closed before: they come back to the byte, their patched heads included', async ({
    expect,
  }) => {
    const job = jobOnMachine('closed');
    const shipper = shipperOf(job);
    const live = cardInputs(smallCard).flatMap((item) => (item === '-f' ? ['-re', item] : [item]));
    const output = ['-t', '3', '-c:v', 'libx264', '-preset', 'ultrafast', '-c:a', 'aac', '-f', 'matroska'];
    const ended = ['-cluster_time_limit', '250', '-flush_packets', '1', job.part(1)];
    await promisify(execFile)('ffmpeg', ['-v', 'error', ...live, ...output, ...ended]);
    const local = readFileSync(job.part(1));
    job.say({ type: 'part-ended', part: 1, at: 4_000, durationMs: 3_000, bytes: local.length, cause: 'STOPPED' });
    writeFileSync(join(job.incarnation, hostFiles.screenshot), 'a picture');
    await shipper.close();
    expect(shipper.notes).toEqual([]);

    const other = await onAnotherMachine('closed');
    expect(readFileSync(other.part(1)).equals(local)).toBe(true);
    const recorded = await findRecorded(other.jobFolder);
    expect(recorded.parts).toMatchObject([{ endCause: 'STOPPED', fetched: true, bytes: local.length }]);
    expect(readFileSync(recorded.screenshot ?? '', 'utf8')).toBe('a picture');
    await removeShippedParts(store, 'closed');
    expect(await keysOf('closed')).toEqual([]);
  });

  test('is the cause of an end that left something unshipped, whatever the manifest says', async ({ expect }) => {
    const job = jobOnMachine('torn');
    await writePart(job.part(1), 1);
    job.say({ type: 'part-ended', part: 1, at: 2_000, durationMs: 9_000, bytes: 9_000_000, cause: 'STOPPED' });
    await shipperOf(job).close();
    const other = await onAnotherMachine('torn');
    expect((await findRecorded(other.jobFolder)).parts).toMatchObject([{ endCause: null, fetched: true }]);
  });
});

describe.concurrent('many small objects', () => {
  /** Ships 2.4 MB in small objects, of which 2 MB are to become one. */
  async function shippedInSmallObjects(jobId: string, to: PartStore) {
    const job = jobOnMachine(jobId);
    const bytes = randomBytes(2_400_000);
    const keyOf = (from: number, until: number) => rangeKey(jobId, 1, partFile(1), from, until);
    const part = createShippedPart({ store: to, file: job.part(1), keyOf, mergeBytes: 2_000_000 });
    for (let at = 0; at < bytes.length; at += 100_000) {
      appendFileSync(job.part(1), bytes.subarray(at, at + 100_000));
      await part.ship(AbortSignal.timeout(30_000));
    }
    return { part, bytes };
  }

  test('become one large one and a few, and the same bytes come back', async ({ expect }) => {
    const { part, bytes } = await shippedInSmallObjects('merged', store);
    const before = (await keysOf('merged')).length;
    expect(part.isToBeMerged()).toBe(true);
    await part.merge(AbortSignal.timeout(30_000));
    expect(part.isToBeMerged()).toBe(false);
    expect(before).toBeGreaterThan(20);
    expect((await keysOf('merged')).length).toBeLessThan(6);
    expect(readFileSync((await onAnotherMachine('merged')).part(1)).equals(bytes)).toBe(true);
  });

  test('are read whole when whoever merged them died in the middle of it', async ({ expect }) => {
    for (const dead of ['putRange', 'remove'] as const) {
      const dying: PartStore = { ...store, [dead]: () => Promise.reject(new Error('killed')) };
      const jobId = `died-at-${dead}`;
      const { part, bytes } = await shippedInSmallObjects(jobId, dying);
      await expect(part.merge(AbortSignal.timeout(30_000))).rejects.toThrow('killed');
      expect((await keysOf(jobId)).length).toBeGreaterThan(20);
      expect(readFileSync((await onAnotherMachine(jobId)).part(1)).equals(bytes)).toBe(true);
    }
  });
});

describe.concurrent('what is fetched', () => {
  test('ends where something is missing, and is no part without its beginning', async ({ expect }) => {
    const put = (part: number, from: number, to: number) =>
      store.put(rangeKey('holes', 2, partFile(part), from, to), Buffer.alloc(to - from, part));
    await Promise.all([put(1, 0, 10), put(1, 10, 20), put(1, 30, 40), put(2, 10, 20), put(3, 0, 5)]);
    const other = await onAnotherMachine('holes');
    expect(other.fetched).toBe(2);
    expect(readFileSync(other.part(1, 2))).toEqual(Buffer.alloc(20, 1));
    expect(existsSync(other.part(2, 2))).toBe(false);
    expect(readFileSync(other.part(3, 2))).toEqual(Buffer.alloc(5, 3));
    expect(readdirSync(other.jobFolder)).toEqual(['i2']);
  });

  test('never replaces what is there, completes it, and comes once', async ({ expect }) => {
    const job = jobOnMachine('kept');
    for (const number of [1, 2]) writeFileSync(job.part(number), `shipped ${number}`);
    await shipperOf(job).close();
    writeFileSync(job.part(1), 'what this machine has, and more of it');
    rmSync(job.part(2));
    writeFileSync(join(job.incarnation, hostFiles.manifest), '');
    const fetch = () => fetchShippedParts({ store, jobFolder: job.jobFolder, jobId: 'kept', diskReserveBytes: 0 });
    expect(await fetch()).toEqual({ fetched: 1 });
    expect(await fetch()).toEqual({ fetched: 0 });
    expect(readFileSync(job.part(1), 'utf8')).toBe('what this machine has, and more of it');
    expect(readFileSync(job.part(2), 'utf8')).toBe('shipped 2');
    expect(readFileSync(join(job.incarnation, hostFiles.manifest), 'utf8')).toBe('');
    const { parts } = await findRecorded(job.jobFolder);
    expect(parts.map(({ fetched }) => fetched)).toEqual([false, true]);
    expect(readdirSync(job.jobFolder)).toEqual(['i1']);
  });

  test('takes the place of a part that lost its end in a power cut, which is put aside, unless it is being written', async ({
    expect,
  }) => {
    const job = jobOnMachine('cut');
    const whole = randomBytes(100_000);
    writeFileSync(job.part(1), whole);
    await shipperOf(job).close();
    writeFileSync(job.part(1), whole.subarray(0, 60_000));
    const fetch = () => fetchShippedParts({ store, jobFolder: job.jobFolder, jobId: 'cut', diskReserveBytes: 0 });
    const host = { ...identify(process.pid), socket: '' };
    writeFileSync(join(job.incarnation, hostFiles.identity), JSON.stringify(host));
    expect(await fetch()).toEqual({ fetched: 0 });
    rmSync(join(job.incarnation, hostFiles.identity));
    expect(await fetch()).toEqual({ fetched: 1 });
    expect(readFileSync(job.part(1)).equals(whole)).toBe(true);
    expect(readFileSync(`${job.part(1)}.cut`).equals(whole.subarray(0, 60_000))).toBe(true);
    expect(await fetch()).toEqual({ fetched: 0 });
    expect((await findRecorded(job.jobFolder)).parts).toMatchObject([{ bytes: 100_000, fetched: true }]);
    expect(readdirSync(job.jobFolder)).toEqual(['i1']);
  });

  test('is not begun without room to join it, and what is to stay free stays so', async ({ expect }) => {
    const job = jobOnMachine('no-room');
    writeFileSync(job.part(1), randomBytes(1_000_000));
    await shipperOf(job).close();
    const jobFolder = join(mkdtempSync(join(folder, 'machine-')), 'no-room');
    mkdirSync(jobFolder);
    // A million are fetched, and a million more are joined.
    const fetch = (spareBytes: number) => {
      const { bavail, bsize } = statfsSync(jobFolder);
      const diskReserveBytes = bavail * bsize - spareBytes;
      return fetchShippedParts({ store, jobFolder, jobId: 'no-room', diskReserveBytes });
    };
    // Others write to this disk meanwhile.
    await expect(fetch(-50_000_000)).rejects.toThrow(StorageFullError);
    expect(readdirSync(jobFolder)).toEqual([]);
    expect(await fetch(100_000_000)).toEqual({ fetched: 1 });
  });

  test('is nothing when nothing was shipped', async ({ expect }) => {
    const other = await onAnotherMachine('nobody');
    expect(other.fetched).toBe(0);
    expect(existsSync(other.jobFolder)).toBe(false);
  });
});

describe.concurrent('a storage that is away', () => {
  /** A server that other tests do not need to be up. */
  async function ownStore(name: string, onTestFinished: TestContext['onTestFinished']) {
    const server = await startS3({ folder: join(folder, name) });
    onTestFinished(() => server.stop());
    const own = createS3PartStore(connectS3(server.settings, limits));
    return { server, own, keys: async () => (await own.list('')).map(({ key }) => key) };
  }

  test('makes the shipper say that it lags, and gets all of it when it is back', async ({ expect, onTestFinished }) => {
    const { server, own, keys } = await ownStore('away', onTestFinished);
    const job = jobOnMachine('away');
    const shipper = shipperOf(job, own);
    const bytes = randomBytes(20_000_000);
    appendFileSync(job.part(1), bytes.subarray(0, 1_000));
    await expect.poll(keys, { timeout: 10_000 }).toHaveLength(2);
    server.pause();
    try {
      appendFileSync(job.part(1), bytes.subarray(1_000));
      expect(shipper.warnings()).toEqual([]);
      await expect.poll(() => shipper.warnings(), { timeout: 20_000 }).toMatchObject([{ code: 'UPLOAD_LAGGING' }]);
      const [first] = shipper.warnings();
      await sleep(100);
      expect(shipper.warnings()).toEqual([first]);
      expect(shipper.notes).toHaveLength(1);
    } finally {
      server.resume();
    }
    await shipper.close();
    expect(readFileSync((await onAnotherMachine('away', own)).part(1)).equals(bytes)).toBe(true);
  });

  test('holds up the end of a recording for a limited time only', async ({ expect, onTestFinished }) => {
    const { server, own } = await ownStore('never', onTestFinished);
    const job = jobOnMachine('never');
    server.pause();
    try {
      const shipper = shipperOf(job, own);
      const startedAt = performance.now();
      await shipper.close();
      expect(performance.now() - startedAt).toBeLessThan(15_000);
      expect(shipper.notes.at(-1)).toContain('on this machine only');
    } finally {
      server.resume();
    }
  });

  test('is not what is wrong when a file became shorter: somebody else writes it, and other parts are shipped', async ({
    expect,
  }) => {
    const job = jobOnMachine('shorter');
    const shipper = shipperOf(job);
    writeFileSync(job.part(1), randomBytes(1_000));
    await expect.poll(() => keysOf('shorter'), { timeout: 10_000 }).toHaveLength(2);
    const kept = `${job.part(1)}.kept`;
    renameSync(job.part(1), kept);
    writeFileSync(job.part(1), 'short');
    writeFileSync(job.part(2), 'the next part');
    await expect.poll(() => shipper.notes.join(), { timeout: 10_000 }).toContain('someone else writes it');
    await expect.poll(() => keysOf('shorter'), { timeout: 10_000 }).toHaveLength(3);
    renameSync(kept, job.part(1));
    await shipper.close();
  });
});
