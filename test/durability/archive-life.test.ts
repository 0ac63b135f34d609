import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import type { JobEventPayload } from '../../src/jobs/events.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { type ArchiveKit, createArchiveKit, type TestArchive } from '../testkit/archives.js';
import { expectPlayable } from '../testkit/media.js';
import { contentReport } from '../testkit/media-report.js';

const seconds = (ms: number) => ms / 1000;
const small = { width: 320, height: 240 };

describe('an archive', () => {
  const folder = temporaryDataFolder();
  let stack: Stack;
  let kit: ArchiveKit;
  let db: Database;
  beforeAll(async () => {
    stack = await startStack({
      config: isolatedConfig(folder.dataDir),
      settings: { STANDBY_TIMEOUT_SECONDS: '6', PAUSE_TIMEOUT_SECONDS: '6' },
      log: () => {},
    });
    kit = createArchiveKit(stack);
    db = createDatabase(stack.databaseUrl);
  });
  afterAll(async () => {
    await kit.close();
    await db.$disconnect();
    await stack.stop();
    folder.remove();
  });

  /** The states it entered, in order, and when. */
  async function entered({ jobId }: TestArchive): Promise<{ state: string; at: Date }[]> {
    const events = await db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } });
    return events.flatMap(({ payload, occurredAt }) => {
      const change = payload as unknown as JobEventPayload;
      return change.type === 'JobStateChanged' ? [{ state: change.state, at: occurredAt }] : [];
    });
  }
  const states = async (archive: TestArchive) => (await entered(archive)).map(({ state }) => state);

  test('without autostart waits with its page open, and records when it is told to begin', async () => {
    const archive = await kit.start({ ...small, autostart: false, maxDuration: 3 });
    await archive.until('STANDBY');
    expect(await archive.stop()).toBe('INVALID_STATE');
    expect(await archive.pause()).toBe('INVALID_STATE');
    expect((await archive.facts()).duration).toBeNull();
    expect(['STANDBY', 'RECORDING']).toContain(await archive.begin('once'));
    await archive.until('RECORDING');
    expect(await archive.begin()).toBe('INVALID_STATE');
    // The same request again is the first one, not a complaint.
    expect(['RECORDING', 'STOPPED', 'COMPLETE']).toContain(await archive.begin('once'));
    const result = await archive.until('COMPLETE');
    expect(result.reason).toBe('MAXIMUM_DURATION');
    expect(Math.abs((result.duration as number) - 3)).toBeLessThan(0.2);
    expect(result.gaps).toEqual([]);
    expect(await states(archive)).toEqual(['QUEUED', 'STARTING', 'STANDBY', 'RECORDING', 'FINALIZING', 'COMPLETE']);
  }, 60_000);

  test('that is not begun in time expires, says why, and leaves nothing running', async () => {
    const archive = await kit.start({ ...small, autostart: false });
    const result = await archive.until('EXPIRED');
    expect(result.reason).toBe('STANDBY_TIMEOUT');
    expect(result.downloadUrl).toBeNull();
    expect(await archive.begin()).toBe('INVALID_STATE');
  }, 60_000);

  test('in standby can be canceled', async () => {
    const archive = await kit.start({ ...small, autostart: false });
    await archive.until('STANDBY');
    await archive.cancel();
    expect((await archive.until('CANCELED')).reason).toBe('CANCELED');
  }, 60_000);

  test('with a launch time starts then, whatever was killed meanwhile', async () => {
    const launchTime = new Date(Date.now() + 20_000);
    const archive = await kit.start({ ...small, launchTime: launchTime.toISOString(), maxDuration: 2 });
    expect((await archive.facts()).state).toBe('SCHEDULED');
    expect(await archive.stop()).toBe('INVALID_STATE');
    await Promise.all(
      (['postgres', 'temporal', 'jobs', 'api', 'recorder'] as const).map((name) => stack.kill(name, 'SIGKILL')),
    );
    for (const name of ['postgres', 'temporal', 'jobs', 'api', 'recorder'] as const) await stack.ready(name);
    const result = await archive.until('COMPLETE');
    const queued = (await entered(archive)).find(({ state }) => state === 'QUEUED');
    const lateMs = (queued?.at.getTime() ?? 0) - launchTime.getTime();
    expect(lateMs).toBeGreaterThanOrEqual(0);
    // At once when everything is up again by then; a machine with much to do needs longer than 20 s for that.
    expect(lateMs).toBeLessThan(15_000);
    expect(Math.abs((result.duration as number) - 2)).toBeLessThan(0.2);
  }, 90_000);

  test('that waits for its launch time can be canceled, and one whose time has passed starts at once', async () => {
    const later = await kit.start({ ...small, launchTime: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await later.cancel()).toBe('CANCELED');
    expect((await later.facts()).state).toBe('CANCELED');
    const past = await kit.start({ ...small, launchTime: new Date(Date.now() - 60_000).toISOString(), maxDuration: 1 });
    expect((await past.facts()).state).not.toBe('SCHEDULED');
    await past.until('COMPLETE');
  }, 60_000);

  test('paused and resumed becomes one file without the pause, which does not count towards its length', async () => {
    const archive = await kit.start({ ...small, maxDuration: 6 });
    await archive.recordedFor(2_000);
    expect(await archive.pause('once')).toBe('PAUSED');
    expect(await archive.pause('once')).toBe('PAUSED');
    expect(await archive.pause()).toBe('INVALID_STATE');
    expect(await archive.begin()).toBe('INVALID_STATE');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await archive.resume()).toBe('RECONNECTING');
    const result = await archive.until('COMPLETE');
    expect(result.reason).toBe('MAXIMUM_DURATION');
    expect(result.gaps.map(({ cause }) => cause)).toEqual(['PAUSED']);
    expect(result.gaps[0]?.lost).toBeGreaterThan(2.9);
    expect(result.lostDuration).toBe(0);
    // What it takes to open the devices again counts as recording time that was lost, a few tenths of a second.
    expect(result.duration as number).toBeGreaterThan(5);
    expect(result.duration as number).toBeLessThan(6.2);
    const file = await archive.download(folder.dataDir);
    await expectPlayable(file, { ...small, durationMs: (result.duration as number) * 1000 });
    const { missing } = await contentReport(file);
    const longest = Math.max(...missing.map(([from, to]) => (to - from + 1) / 30));
    expect(Math.abs(longest - (result.gaps[0]?.lost as number))).toBeLessThan(0.35);
    expect(await states(archive)).toEqual([
      'QUEUED',
      'STARTING',
      'RECORDING',
      'PAUSED',
      'RECONNECTING',
      'RECORDING',
      'FINALIZING',
      'COMPLETE',
    ]);
  }, 60_000);

  test('can be stopped while it is paused', async () => {
    const archive = await kit.start(small);
    await archive.recordedFor(1_000);
    await archive.pause();
    await archive.stop();
    const result = await archive.until('COMPLETE');
    expect(result.reason).toBe('USER_INITIATED');
    expect(result.gaps).toEqual([]);
  }, 60_000);

  test('that stays paused for too long ends with what it has, and says so', async () => {
    const archive = await kit.start(small);
    await archive.recordedFor(1_000);
    await archive.pause();
    const pausedAt = Date.now();
    const result = await archive.until('PARTIAL');
    expect(seconds(Date.now() - pausedAt)).toBeGreaterThan(5);
    expect(result.reason).toBe('PAUSE_TIMEOUT');
    await expectPlayable(await archive.download(folder.dataDir), small);
  }, 60_000);
});
