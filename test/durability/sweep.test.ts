import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Config, childEnvironment, loadConfig } from '../../src/config.js';
import type { Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import type { JobState } from '../../src/jobs/states.js';
import { createCaptures } from '../../src/services/captures.js';
import { createTransitions } from '../../src/services/transitions.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { createWork, type Work } from '../../worker/activities/work.js';
import { removeDeadScratch } from '../../worker/capture/dead-scratch.js';
import { keepOutcome } from '../../worker/finalize/outcome.js';
import { noteKeys } from '../../worker/finalize/stored-keys.js';
import { findHost, startHost } from '../../worker/host/client.js';
import { endHost } from '../../worker/host/folders.js';
import { jobFolder } from '../../worker/machine.js';
import { createSweep, type Sweep } from '../../worker/sweep.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { livePage, servePages } from '../testkit/host.js';
import { createJobRow, createProject } from '../testkit/jobs.js';

const hourMs = 3_600_000;

describe('sweeping what is left on a machine', () => {
  let own: OwnDatabase;
  let db: Database;
  let projectId: string;
  let config: Config;
  let work: Work;
  let sweep: Sweep;
  const dataDir = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));

  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    projectId = await createProject(db);
    config = loadConfig(
      childEnvironment({ DATA_DIR: dataDir, PARTS_RETENTION_HOURS: '1', FAILED_PARTS_RETENTION_HOURS: '5' }),
    );
  });
  beforeEach(() => {
    work = createWork();
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    sweep = createSweep({
      ...{ config, db, machineId: 'here', work, parts: null, log: pino({ level: 'silent' }) },
      captures: createCaptures({ db, wake, transitions }),
      storage: createLocalStorage(join(dataDir, 'files')),
    });
  });
  afterAll(async () => {
    rmSync(dataDir, { recursive: true, force: true });
    await own.remove();
  });

  /** A job that ended so long ago, with one finalized part in its folder. */
  async function ended(state: JobState, hoursAgo: number): Promise<string> {
    const jobId = await createJobRow(db, projectId, state);
    const endedAt = new Date(Date.now() - hoursAgo * hourMs);
    await db.job.update({ where: { id: jobId }, data: { endedAt, machineId: 'here', incarnation: 1 } });
    addPart(jobId);
    await keepOutcome(jobFolder(config, jobId), {
      ...{ version: 1, removable: ['i1/p1.mkv'] },
      outcome: { recordedMs: 1, parts: [], files: [] },
    });
    return jobId;
  }
  function addPart(jobId: string, name = 'p1.mkv'): void {
    mkdirSync(join(jobFolder(config, jobId), 'i1'), { recursive: true });
    writeFileSync(join(jobFolder(config, jobId), 'i1', name), 'media');
  }
  const isThere = (jobId: string) => existsSync(jobFolder(config, jobId));
  const partsOf = (jobId: string) => readdirSync(join(jobFolder(config, jobId), 'i1'));
  const removedAt = async (id: string) => (await db.job.findUniqueOrThrow({ where: { id } })).partsRemovedAt;

  test('a job that has not ended is not touched, nor is a folder that no job knows', async () => {
    const running = await createJobRow(db, projectId, 'FINALIZING');
    addPart(running);
    mkdirSync(join(jobFolder(config, running), 'finalizing-x'));
    const stranger = '01890000-0000-7000-8000-000000000000';
    addPart(stranger);
    await sweep.run();
    expect(readdirSync(jobFolder(config, running)).sort()).toEqual(['finalizing-x', 'i1']);
    expect(partsOf(stranger)).toEqual(['p1.mkv']);
  });

  test('what a canceled or expired job left is removed, but parts of an expired one stay like those of a failed one', async () => {
    const jobs = [await ended('CANCELED', 0), await ended('EXPIRED', 0), await ended('EXPIRED', 6)];
    rmSync(join(jobFolder(config, jobs[1] as string), 'i1', 'p1.mkv'));
    const recorded = await ended('EXPIRED', 4);
    await sweep.run();
    expect(jobs.filter(isThere)).toEqual([]);
    expect(partsOf(recorded)).toEqual(['p1.mkv']);
    expect(await removedAt(recorded)).toBeNull();
    expect(await removedAt(jobs[0] as string)).not.toBeNull();
  });

  test('as long as some of a recording is missing, all parts of it stay like those of a failed job', async () => {
    const [young, old] = [await ended('PARTIAL', 4), await ended('PARTIAL', 6)];
    for (const jobId of [young, old])
      await db.part.create({ data: { jobId, incarnation: 1, number: 1, projectId, incomplete: true } });
    await sweep.run();
    expect(partsOf(young)).toEqual(['p1.mkv']);
    expect(await removedAt(young)).toBeNull();
    expect(isThere(old)).toBe(false);
  });

  test('what was stored here and became no result goes with the folder, results stay', async () => {
    const jobId = await ended('COMPLETE', 6);
    const storage = createLocalStorage(join(dataDir, 'files'));
    const keys = ['jobs/one/a.mp4', 'jobs/two/a.mp4'];
    await noteKeys(jobFolder(config, jobId), { version: 1, keys });
    for (const key of keys) await storage.put(key, join(jobFolder(config, jobId), 'i1', 'p1.mkv'), 'video/mp4');
    const file = { name: 'a.mp4', mediaType: 'video/mp4', sizeBytes: 5, sha256: new Uint8Array(32) };
    await db.file.create({
      data: { ...file, id: randomUUID(), jobId, projectId, kind: 'VIDEO', storageKey: 'jobs/two/a.mp4' },
    });
    await sweep.run();
    expect(keys.map((key) => existsSync(join(dataDir, 'files', key)))).toEqual([false, true]);
  });

  test('parts of a finished job stay for their time, then go with all that is left of it', async () => {
    const [young, old] = [await ended('COMPLETE', 0.9), await ended('PARTIAL', 1.1)];
    mkdirSync(join(jobFolder(config, young), 'finalizing-x'));
    await sweep.run();
    expect(readdirSync(jobFolder(config, young)).sort()).toEqual(['finalized.json', 'i1']);
    expect(partsOf(young)).toEqual(['p1.mkv']);
    expect(await removedAt(young)).toBeNull();
    expect(isThere(old)).toBe(false);
    expect(await removedAt(old)).not.toBeNull();
  });

  test('parts of a failed job stay longer, and so do parts that no result holds', async () => {
    const [young, old] = [await ended('FAILED', 4), await ended('FAILED', 6)];
    const unread = await ended('COMPLETE', 2);
    addPart(unread, 'p2.mkv');
    await sweep.run();
    expect(partsOf(young)).toEqual(['p1.mkv']);
    expect(isThere(old)).toBe(false);
    expect(partsOf(unread)).toEqual(['p2.mkv']);
    await db.job.update({ where: { id: unread }, data: { endedAt: new Date(Date.now() - 6 * hourMs) } });
    await sweep.run();
    expect(isThere(unread)).toBe(false);
  });

  test('a removal that was cut short is ended by the next sweep, not when its time is over', async () => {
    const cutShort = await ended('COMPLETE', 0);
    await db.job.update({ where: { id: cutShort }, data: { partsRemovedAt: new Date() } });
    const elsewhere = await createJobRow(db, projectId, 'COMPLETE');
    await db.job.update({ where: { id: elsewhere }, data: { endedAt: new Date(), partsRemovedAt: new Date() } });
    // All there is of it is in a storage: the folder says that something is left to be done.
    mkdirSync(jobFolder(config, elsewhere), { recursive: true });
    await sweep.run();
    expect([cutShort, elsewhere].filter(isThere)).toEqual([]);
  });

  test('nothing is taken from under somebody who works on the job', async () => {
    const old = await ended('COMPLETE', 10);
    await work.on(old, () => sweep.run());
    expect(partsOf(old)).toEqual(['p1.mkv']);
    await sweep.run();
    expect(isThere(old)).toBe(false);
  });

  test('hosts of jobs that have ended, or that a newer one records elsewhere, are ended; the newest is not', async () => {
    const url = `${await servePages({ '/': livePage() })}/`;
    async function hostOf(state: JobState, incarnation: number): Promise<string> {
      const jobId = await createJobRow(db, projectId, state);
      await db.job.update({
        where: { id: jobId },
        data: { incarnation, endedAt: state === 'COMPLETE' ? new Date() : null },
      });
      const folder = join(jobFolder(config, jobId), 'i1');
      const { ffmpeg, ffprobe, chromium, browserUser } = config.recorder;
      const lease = { taskToken: '', attempt: 1, renewedAt: Date.now() };
      await startHost(
        folder,
        {
          ...{
            listenAddress: '127.0.0.1',
            live: false,
            directMedia: false,
            publication: null,
            arrangement: { layout: null, targets: [] },
          },
          ...{ jobId, incarnation: 1, maxDurationMs: 60_000, endsAt: null, hold: null, leaseTimeoutMs: 60_000 },
          source: { kind: 'page', url, width: 320, height: 240, fps: 15, loadTimeoutMs: 20_000 },
          egress: { allowedNetworks: ['127.0.0.0/8'], allowedHosts: [], deniedPorts: [] },
          diskReserveBytes: 0,
          recordedBefore: { bytes: 0, parts: 0 },
          tools: { ffmpeg, ffprobe, chromium, browserUser },
        },
        lease,
      );
      return folder;
    }
    const [over, replaced, wanted] = await Promise.all([
      hostOf('COMPLETE', 1),
      hostOf('RECORDING', 2),
      hostOf('STARTING', 1),
    ]);
    await sweep.endStrayHosts();
    expect(findHost(over)).toBeNull();
    expect(findHost(replaced)).toBeNull();
    expect(findHost(wanted)).not.toBeNull();
    await endHost(wanted);
  }, 90_000);

  test('temporary folders are removed when nobody listens there and no process names them', async () => {
    const scratch = (name: string) => mkdtempSync(join(tmpdir(), `tapedeck-host-${name}-`));
    const [dead, young, listening] = [scratch('dead'), scratch('young'), scratch('listening')];
    // A server that is killed leaves its socket behind.
    const program = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    spawnSync(process.execPath, ['-e', program, join(dead, 'host.sock')]);
    expect(existsSync(join(dead, 'host.sock'))).toBe(true);
    const server = createServer().listen(join(listening, 'host.sock'));
    await new Promise((resolve) => server.once('listening', resolve));
    for (const folder of [dead, listening]) utimesSync(folder, 0, 0);
    await removeDeadScratch();
    expect([dead, young, listening].map((folder) => existsSync(folder))).toEqual([false, true, true]);
    server.close();
    for (const folder of [young, listening]) rmSync(folder, { recursive: true, force: true });
  });
});
