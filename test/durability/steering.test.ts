import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import type { HostWarning } from '../../src/jobs/capture.js';
import { createCaptures } from '../../src/services/captures.js';
import { createTransitions } from '../../src/services/transitions.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { findHost } from '../../worker/host/client.js';
import { type ArchiveKit, createArchiveKit, type TestArchive } from '../testkit/archives.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { expectPlayable } from '../testkit/media.js';

const patience = { timeout: 30_000 };
const small = { width: 320, height: 240, maxDuration: 60 };

describe('what is wished of a recorder reaches it', () => {
  const folder = temporaryDataFolder();
  let stack: Stack;
  let kit: ArchiveKit;
  let db: Database;

  beforeAll(async () => {
    stack = await startStack({ config: isolatedConfig(folder.dataDir), log: () => {} });
    kit = createArchiveKit(stack);
    db = createDatabase(stack.databaseUrl, 2);
  });
  afterAll(async () => {
    await kit.close();
    await db.$disconnect();
    await stack.stop();
    folder.remove();
  });

  /** The host that works on the archive now; null between two. */
  function hostOf({ jobId }: TestArchive): number | null {
    const jobFolder = join(folder.dataDir, 'jobs', jobId);
    const newest = readdirSync(jobFolder).filter((name) => /^i\d+$/.test(name)).length;
    return findHost(join(jobFolder, `i${newest}`))?.pid ?? null;
  }

  /** Kills the host and waits for the one that takes its place. */
  async function killHost(archive: TestArchive): Promise<void> {
    const host = hostOf(archive) as number;
    process.kill(host, 'SIGKILL');
    await expect.poll(() => [null, host].includes(hostOf(archive)), patience).toBe(false);
  }

  const pausedPartsOf = ({ jobId }: TestArchive) => db.part.count({ where: { jobId, endCause: 'PAUSED' } });
  const stateOf = async ({ jobId }: TestArchive) => (await db.job.findUniqueOrThrow({ where: { id: jobId } })).state;

  test('a host that dies while its job is paused is replaced by one that waits, and the result is one file', async () => {
    const archive = await kit.start(small);
    await archive.recordedFor(2_000);
    expect(await archive.pause()).toBe('PAUSED');
    await expect.poll(() => pausedPartsOf(archive), patience).toBe(1);
    await killHost(archive);
    expect(await stateOf(archive)).toBe('PAUSED');
    await archive.resume();
    await archive.recordedFor(4_000);
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['PAUSED']);
    await expectPlayable(await archive.download(folder.dataDir), { durationMs: (result.duration as number) * 1000 });
  }, 120_000);

  test('a job in standby survives its host and its worker, and begins when it is told to meanwhile', async () => {
    const archive = await kit.start({ ...small, autostart: false });
    await archive.until('STANDBY');
    await killHost(archive);
    expect(await stateOf(archive)).toBe('STANDBY');
    await stack.kill('recorder', 'SIGKILL');
    await archive.begin();
    await archive.recordedFor(2_000);
    await archive.stop();
    expect((await archive.until('COMPLETE')).gaps).toEqual([]);
  }, 120_000);

  test('whoever pauses and resumes faster than a recorder can follow gets what was asked for last', async () => {
    const archive = await kit.start(small);
    await archive.recordedFor(1_000);
    // One that it follows: a pause that is over before the recorder looks is none in the file.
    await archive.pause();
    await expect.poll(() => pausedPartsOf(archive), patience).toBe(1);
    await archive.resume();
    await expect.poll(() => stateOf(archive), patience).toBe('RECORDING');
    for (let turn = 0; turn < 3; turn++) {
      expect(await archive.pause()).toBe('PAUSED');
      expect(await archive.resume()).not.toBe('INVALID_STATE');
      await expect.poll(() => stateOf(archive), patience).toBe('RECORDING');
    }
    const { duration } = await archive.facts();
    await archive.recordedFor((duration as number) * 1000 + 2_000);
    await archive.pause();
    await expect.poll(() => stateOf(archive), patience).toBe('PAUSED');
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(new Set(result.gaps.map(({ cause }) => cause))).toEqual(new Set(['PAUSED']));
  }, 120_000);
});

describe('what a worker writes down of its host', () => {
  let own: OwnDatabase;
  let db: Database;
  let projectId: string;
  beforeAll(async () => {
    own = await ownDatabase();
    db = own.db;
    projectId = await createProject(db);
  });
  afterAll(() => own.remove());

  const captures = () => {
    const wake = createWake(db);
    const config = {
      queueTimeoutMs: 60_000,
      taskQueueTimeoutMs: 60_000,
      standbyTimeoutMs: 60_000,
      pauseTimeoutMs: 60_000,
    };
    return createCaptures({ db, wake, transitions: createTransitions({ db, wake, config }) });
  };
  const told = async (jobId: string) =>
    (await db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } })).map(({ type }) => type).slice(1);

  test('each warning is raised once and cleared once, whoever says it how often; an older host is not heard', async () => {
    const jobId = await createJobRow(db, projectId, 'RECORDING');
    await db.job.update({ where: { id: jobId }, data: { incarnation: 2 } });
    const key = { jobId, incarnation: 2 };
    const silent: HostWarning = { code: 'SILENT_SOUND', since: 1_000, message: 'There is no sound.' };
    const black: HostWarning = { code: 'BLACK_PICTURE', since: 2_000, message: 'The picture is black.' };
    await captures().warned(key, [silent]);
    await Promise.all([captures().warned(key, [silent, black]), captures().warned(key, [silent, black])]);
    await captures().warned({ jobId, incarnation: 1 }, []);
    await captures().warned(key, [black]);
    await captures().warned(key, [{ ...silent, since: 3_000 }, black]);
    await captures().warned(key, []);
    const rows = await db.jobWarning.findMany({ where: { jobId }, orderBy: { raisedAt: 'asc' } });
    expect(rows.map(({ code }) => code)).toEqual(['SILENT_SOUND', 'BLACK_PICTURE', 'SILENT_SOUND']);
    expect(rows.every(({ clearedAt }) => clearedAt)).toBe(true);
    const types = await told(jobId);
    expect(types.filter((type) => type === 'JobWarningRaised')).toHaveLength(3);
    expect(types.filter((type) => type === 'JobWarningCleared')).toHaveLength(3);
  });

  test("a new host is told when the job ends, pauses excluded, and whether to wait; the lost one's part is closed", async () => {
    const jobId = await createJobRow(db, projectId, 'PAUSED');
    const now = Date.now();
    const startedAt = new Date(now - 60_000);
    await db.job.update({
      where: { id: jobId },
      data: { incarnation: 1, startedAt, pausedMs: 5_000, stateSince: new Date(now - 7_000), maxDurationMs: 100_000 },
    });
    await db.part.create({
      data: { jobId, incarnation: 1, number: 1, projectId, startedAt, durationMs: 2_000, endCause: 'PAUSED' },
    });
    await db.part.create({ data: { jobId, incarnation: 1, number: 2, projectId, startedAt } });
    const counts = {
      frames: 1,
      fps: 1,
      bitrate: 1,
      bytes: 9,
      dropped: 0,
      duplicated: 0,
      speed: 1,
      pageFrames: 1,
      progress: 1,
    };
    await db.jobStats.create({ data: { jobId, incarnation: 1, positionMs: 9_000, updatedAt: new Date(), ...counts } });

    const begun = await captures().beginIncarnation(jobId, 'another');
    expect(begun).toMatchObject({ incarnation: 2, hold: 'paused', maxDurationMs: 100_000 });
    expect(Math.abs((begun?.endsAt as number) - (startedAt.getTime() + 100_000 + 5_000 + 7_000))).toBeLessThan(2_000);
    const lost = await db.part.findFirstOrThrow({ where: { jobId, number: 2 } });
    expect(lost).toMatchObject({ durationMs: 7_000, endCause: 'MACHINE_LOST' });
    expect(await told(jobId)).toEqual(['JobPartEnded']);
    expect(await captures().beginIncarnation(await createJobRow(db, projectId, 'STOPPING'), 'here')).toBeNull();

    // The lost part is nowhere: the result says how many are missing, and no time is counted for it.
    const found = { incarnation: 1, number: 1, startedAt, durationMs: 2_000, bytes: 5, endCause: 'PAUSED' as const };
    const delivered = await captures().delivered(jobId, { parts: [found], files: [], recordedMs: 2_000 });
    expect(delivered).toEqual({ recordedMs: 2_000, missingParts: 1, storageKeys: [] });
    expect(await captures().deliveredBefore(jobId)).toEqual(delivered);
    expect((await db.part.findFirstOrThrow({ where: { jobId, number: 2 } })).durationMs).toBe(0);
  });
});
