import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type Config, childEnvironment, loadConfig } from '../../src/config.js';
import { createDatabase, type Database } from '../../src/db.js';
import { createWake } from '../../src/events/outbox.js';
import { type HostWarning, hostFiles, partFile } from '../../src/jobs/capture.js';
import type { JobState } from '../../src/jobs/states.js';
import { createCaptures } from '../../src/services/captures.js';
import { createTransitions } from '../../src/services/transitions.js';
import { openStorage } from '../../src/storage/open.js';
import type { PartStore } from '../../src/storage/parts.js';
import { createEngine, createTemporalClient } from '../../src/temporal/client.js';
import { createFileActivities } from '../../worker/activities/files.js';
import { createWork } from '../../worker/activities/work.js';
import { readOutcome } from '../../worker/finalize/outcome.js';
import { jobFolder, machineId } from '../../worker/machine.js';
import { rangeKey } from '../../worker/shipping/keys.js';
import { startStatsWriter } from '../../worker/stats.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { expectPlayable } from '../testkit/media.js';
import { temporaryFolder, writeKilledPart, writePart } from '../testkit/media-parts.js';
import { startS3 } from '../testkit/s3.js';

const refinalizeJob = `mutation ($input: RefinalizeJobInput!) {
  refinalizeJob(input: $input) {
    __typename
    ... on RefinalizeJobPayload { sequence job { state } }
    ... on Error { code message }
  }
}`;
const filesOf = `query ($id: ID!) { job(id: $id) {
  state recordedDuration files { nodes { name kind version downloadUrl } }
} }`;

interface Refinalized {
  refinalizeJob: { __typename: string; sequence?: number; code?: string; message?: string; job?: { state: string } };
}
interface Files {
  job: {
    state: string;
    recordedDuration: number | null;
    files: { nodes: { kind: string; version: number; downloadUrl: string }[] };
  };
}

describe('making the files of an ended job again', () => {
  const { databaseUrl, temporalAddress, dataDir } = inject('stack');
  const config = loadConfig(
    childEnvironment({ DATA_DIR: dataDir, DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: temporalAddress }),
  );
  const log = pino({ level: 'silent' });
  const client = createTemporalClient(config);
  let db: Database;
  let projectId: string;
  let media: string;

  beforeAll(async () => {
    db = createDatabase(databaseUrl, 4);
    ({ projectId } = await db.apiKey.findFirstOrThrow());
    media = await temporaryFolder();
    await Promise.all([writePart(join(media, 'p1.mkv'), 3), writeKilledPart(join(media, 'killed.mkv'), 4, 0)]);
  });
  afterAll(async () => {
    rmSync(media, { recursive: true });
    await client.connection.close();
    await db.$disconnect();
  });

  /** A job whose recorder has left one part of 3 s on the machine of the shared stack. */
  async function recorded(state: JobState): Promise<string> {
    const jobId = await createJobRow(db, projectId, state);
    const startedAt = new Date(Date.now() - 10_000);
    const endedAt = state === 'FAILED' || state === 'COMPLETE' ? new Date() : null;
    await db.job.update({
      where: { id: jobId },
      data: {
        machineId: machineId(config),
        incarnation: 1,
        startedAt,
        endedAt,
        recordedMs: endedAt ? null : undefined,
      },
    });
    await db.part.create({ data: { jobId, incarnation: 1, number: 1, projectId, startedAt, durationMs: 3_000 } });
    const folder = join(jobFolder(config, jobId), 'i1');
    mkdirSync(folder, { recursive: true });
    copyFileSync(join(media, 'p1.mkv'), join(folder, 'p1.mkv'));
    const at = startedAt.getTime();
    writeFileSync(join(folder, hostFiles.manifest), `${JSON.stringify({ type: 'first-frame', part: 1, at })}\n`);
    return jobId;
  }
  /** The activities of a machine with this configuration, without a worker around them. */
  function fileActivities(machine: Config, parts: PartStore | null) {
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    const stats = startStatsWriter({ db, wake, log });
    const activities = createFileActivities({
      ...{ config: machine, db, log, stats, transitions, parts, work: createWork(), machineId: machineId(machine) },
      captures: createCaptures({ db, wake, transitions }),
      storage: openStorage(machine).files,
      engine: createEngine(client),
    });
    return { ...activities, close: stats.close };
  }
  function run<Input, Result>(activity: (input: Input) => Promise<Result>, input: Input): Promise<Result> {
    const logger = new DefaultLogger('ERROR', () => {});
    return new MockActivityEnvironment({}, { logger }).run(activity, input);
  }

  const idOf = (jobId: string) => Buffer.from(`Job:${jobId}`).toString('base64url');
  const refinalize = async (jobId: string, requestId?: string, token = inject('stack').apiKey) =>
    (await api(token).get<Refinalized>(refinalizeJob, { input: { jobId: idOf(jobId), requestId } })).refinalizeJob;
  const videosOf = async (jobId: string) => {
    const { job } = await api().get<Files>(filesOf, { id: idOf(jobId) });
    return { ...job, videos: job.files.nodes.filter(({ kind }) => kind === 'VIDEO') };
  };

  test('a job of which no file could be made gets one, playable, and stays failed', async () => {
    const jobId = await recorded('FINALIZING');
    // Where its files are to be put there is a file already: nothing can be stored.
    const obstacle = join(dataDir, 'files', 'jobs', jobId);
    mkdirSync(dirname(obstacle), { recursive: true });
    writeFileSync(obstacle, '');
    const { finalize, close } = fileActivities(config, null);
    await expect(run(finalize, { jobId })).rejects.toThrow();
    expect(readdirSync(join(jobFolder(config, jobId), 'i1'))).toContain('p1.mkv');
    await close();
    const transitions = createTransitions({ db, wake: createWake(db), config });
    await transitions.transition({ jobId, to: 'FAILED', reason: 'FINALIZE_FAILED' });

    rmSync(obstacle);
    const first = await refinalize(jobId, 'again');
    expect(first).toMatchObject({ __typename: 'RefinalizeJobPayload', sequence: 2, job: { state: 'FAILED' } });
    expect(await refinalize(jobId, 'again')).toEqual(first);
    await expect.poll(async () => (await videosOf(jobId)).videos.length, { timeout: 30_000 }).toBe(1);
    const { state, recordedDuration, videos } = await videosOf(jobId);
    expect(state).toBe('FAILED');
    expect(recordedDuration).toBeCloseTo(3, 1);
    expect(videos[0]?.version).toBe(2);
    const file = join(media, 'result.mp4');
    await writeFile(file, Buffer.from(await (await fetch(videos[0]?.downloadUrl as string)).arrayBuffer()));
    await expectPlayable(file, { durationMs: 3_000 });
    expect(await db.event.count({ where: { jobId, type: 'JobFileAdded' } })).toBe(2);

    // Asked for once more it makes another version, which leaves the one before alone.
    await refinalize(jobId);
    await expect.poll(async () => (await videosOf(jobId)).videos.length, { timeout: 30_000 }).toBe(2);
    const all = await db.file.findMany({ where: { jobId, kind: 'VIDEO' }, orderBy: { version: 'asc' } });
    expect(all.map(({ version }) => version)).toEqual([2, 3]);
    expect(new Set(all.map(({ storageKey }) => storageKey)).size).toBe(2);
    expect(readFileSync(file)).toEqual(readFileSync(join(dataDir, 'files', all[0]?.storageKey as string)));
  }, 90_000);

  test('what cannot be made is told, and may be asked for again by the same request once it can be', async () => {
    const jobId = await recorded('FAILED');
    const part = join(jobFolder(config, jobId), 'i1', 'p1.mkv');
    const failures = () =>
      db.event.findMany({ where: { jobId, type: 'JobFilesFailed' }, orderBy: { jobSequence: 'asc' } });
    rmSync(part);
    await refinalize(jobId, 'once');
    await expect.poll(async () => (await failures()).length, { timeout: 30_000 }).toBe(1);
    expect((await failures())[0]?.payload).toMatchObject({ version: 2, reason: 'FINALIZE_FAILED' });
    expect(JSON.stringify((await failures())[0]?.payload)).toContain('parts of the recording are not there');
    expect((await videosOf(jobId)).state).toBe('FAILED');

    copyFileSync(join(media, 'p1.mkv'), part);
    // The workflow has told its failure and is about to fail with it.
    await expect
      .poll(async () => (await refinalize(jobId, 'once')) && (await videosOf(jobId)).videos.length, { timeout: 30_000 })
      .toBe(1);
    expect((await videosOf(jobId)).videos[0]?.version).toBe(2);
    expect(await failures()).toHaveLength(1);
  }, 90_000);

  test('asked for while it is being made, it is made once', async () => {
    const jobId = await recorded('FAILED');
    const answers = await Promise.all([refinalize(jobId), refinalize(jobId), refinalize(jobId, 'third')]);
    expect(answers.map(({ __typename }) => __typename)).toEqual(Array(3).fill('RefinalizeJobPayload'));
    await expect.poll(async () => (await videosOf(jobId)).videos.length, { timeout: 30_000 }).toBe(1);
    expect(await db.job.findUniqueOrThrow({ where: { id: jobId } })).toMatchObject({ fileVersion: 2 });
  }, 60_000);

  test('a job that has not ended, has no parts any more, or is not ours, is refused', async () => {
    const running = await recorded('STOPPING');
    expect(await refinalize(running)).toMatchObject({ code: 'INVALID_STATE' });
    const removed = await recorded('COMPLETE');
    await db.job.update({ where: { id: removed }, data: { partsRemovedAt: new Date() } });
    expect(await refinalize(removed)).toMatchObject({ code: 'PARTS_GONE' });
    const empty = await createJobRow(db, projectId, 'CANCELED');
    expect(await refinalize(empty)).toMatchObject({ code: 'PARTS_GONE' });
    const foreign = await createJobRow(db, await createProject(db), 'FAILED');
    expect(await refinalize(foreign)).toMatchObject({ code: 'NOT_FOUND' });
    // Its workflow would be started by the reconciler.
    await db.job.update({ where: { id: running }, data: { state: 'FAILED' } });
  });

  describe('where parts are shared', () => {
    let s3: Awaited<ReturnType<typeof startS3>>;
    beforeAll(async () => {
      s3 = await startS3({ folder: join(media, 's3') });
    }, 30_000);
    afterAll(() => s3.stop());

    const sharing = (folder: string) =>
      loadConfig(childEnvironment({ DATA_DIR: folder, DATABASE_URL: databaseUrl, ...s3.environment }));
    async function onMachine(
      machine: Config,
      work: (activities: ReturnType<typeof fileActivities>, parts: PartStore) => Promise<void>,
    ) {
      const parts = openStorage(machine).parts as PartStore;
      const activities = fileActivities(machine, parts);
      await work(activities, parts);
      await activities.close();
    }
    const rowsOf = async (jobId: string) => ({
      job: await db.job.findUniqueOrThrow({ where: { id: jobId } }),
      parts: await db.part.findMany({ where: { jobId }, orderBy: { incarnation: 'asc' } }),
    });

    test('what a lost machine had shipped is made into the file by another, which says what is missing and keeps the rest', async () => {
      const jobId = await recorded('FINALIZING');
      rmSync(jobFolder(config, jobId), { recursive: true });
      const startedAt = new Date();
      await db.part.create({ data: { jobId, incarnation: 2, number: 1, projectId, startedAt, durationMs: 1_000 } });
      await onMachine(sharing(join(media, 'elsewhere')), async ({ finalize }, parts) => {
        const bytes = readFileSync(join(media, 'p1.mkv'));
        await parts.put(rangeKey(jobId, 1, partFile(1), 0, bytes.length), bytes);
        const result = await run(finalize, { jobId });
        expect(result.missingParts).toBe(1);
        expect(result.recordedMs).toBeCloseTo(3_000, -2);
        // The machine that has the other part may come back.
        expect(await parts.list(jobId)).toHaveLength(1);
        expect((await rowsOf(jobId)).job.partsRemovedAt).toBeNull();
      });
      await db.job.update({ where: { id: jobId }, data: { state: 'PARTIAL' } });
    }, 60_000);

    test('an end that was not shipped is missing, until the machine that has it is back and makes the whole file', async () => {
      const jobId = await recorded('FINALIZING');
      copyFileSync(join(media, 'killed.mkv'), join(jobFolder(config, jobId), 'i1', 'p1.mkv'));
      // Nobody wrote how the part ended; what is known of its length are the statistics.
      await db.part.updateMany({ where: { jobId }, data: { durationMs: null } });
      const counts = { frames: 1, fps: 1, bitrate: 1, bytes: 9, dropped: 0, duplicated: 0, speed: 1, pageFrames: 1 };
      await db.jobStats.create({
        data: { jobId, incarnation: 1, positionMs: 3_500, progress: 1, updatedAt: new Date(), ...counts },
      });
      await onMachine(sharing(join(media, 'elsewhere')), async ({ finalize }, parts) => {
        const whole = readFileSync(join(media, 'killed.mkv'));
        const bytes = whole.subarray(0, Math.round(whole.length / 4));
        await parts.put(rangeKey(jobId, 1, partFile(1), 0, bytes.length), bytes);
        const result = await run(finalize, { jobId });
        expect(result.recordedMs).toBeLessThan(1_400);
        expect(result.recordedMs).toBeGreaterThan(0);
        expect(result.missingParts).toBe(1);
        expect(await run(finalize, { jobId })).toEqual(result);
        expect(await parts.list(jobId)).toHaveLength(1);
      });
      const before = await rowsOf(jobId);
      expect(before.parts).toMatchObject([{ incomplete: true, endCause: 'MACHINE_LOST' }]);
      await db.job.update({ where: { id: jobId }, data: { state: 'PARTIAL' } });
      await onMachine(sharing(dataDir), async ({ deliver }) => {
        await run(deliver, { jobId, machineId: machineId(config), version: 2 });
      });
      const videos = await db.file.findMany({ where: { jobId, kind: 'VIDEO' }, orderBy: { version: 'asc' } });
      expect(videos.map(({ version }) => version)).toEqual([1, 2]);
      expect(videos[1]?.durationMs).toBeGreaterThan(2_500);
      // The job stays as it ended.
      const after = await rowsOf(jobId);
      expect(after.parts).toEqual(before.parts);
      expect(after.job.recordedMs).toBe(before.job.recordedMs);

      // The other one has less than is in the files now, if it is asked first the next time.
      await db.job.update({ where: { id: jobId }, data: { recordedMs: videos[1]?.durationMs } });
      await onMachine(sharing(join(media, 'elsewhere')), async ({ deliver }) => {
        const failing = run(deliver, { jobId, machineId: 'm-elsewhere', version: 3 });
        await expect(failing).rejects.toMatchObject({ type: 'LessFoundError', nonRetryable: true });
      });
      expect(await db.file.count({ where: { jobId, version: 3 } })).toBe(0);
    }, 60_000);

    test('two machines that both make the files leave one result, and each file has the bytes it is said to have', async () => {
      const jobId = await recorded('FINALIZING');
      const one = sharing(dataDir);
      const other = sharing(join(media, 'elsewhere'));
      const bytes = readFileSync(join(media, 'p1.mkv'));
      await openStorage(one).parts?.put(rangeKey(jobId, 1, partFile(1), 0, bytes.length), bytes);
      const results: unknown[] = [];
      await Promise.all(
        [one, other].map((machine) =>
          onMachine(machine, async ({ finalize }) => {
            results.push(await run(finalize, { jobId }));
          }),
        ),
      );
      expect(results[0]).toMatchObject({ missingParts: 0 });
      expect(results[1]).toEqual(results[0]);
      const files = await db.file.findMany({ where: { jobId } });
      expect(files).toHaveLength(2);
      expect(await db.event.count({ where: { jobId, type: 'JobFileAdded' } })).toBe(2);
      const { files: storage } = openStorage(other);
      for (const { storageKey, sha256, mediaType } of files) {
        const stored = await storage.read(storageKey, { mediaType, disposition: 'attachment' });
        const body = await (await fetch(stored?.kind === 'redirect' ? stored.url : '')).arrayBuffer();
        expect(createHash('sha256').update(Buffer.from(body)).digest()).toEqual(Buffer.from(sha256));
      }
      // Nothing is left of the other's.
      const winners = files.map(({ storageKey }) => storageKey);
      const kept = await Promise.all([one, other].map((machine) => readOutcome(jobFolder(machine, jobId))));
      const all = kept.flatMap((each) => each?.outcome.files.map(({ storageKey }) => storageKey) ?? []);
      for (const key of all.filter((each) => !winners.includes(each)))
        expect(await storage.read(key, { mediaType: 'video/mp4', disposition: 'attachment' })).toBeNull();
      await db.job.update({ where: { id: jobId }, data: { state: 'COMPLETE' } });
    }, 60_000);
  });

  test('a part that nobody can read is missing: all are kept, and the files can be made again of them', async () => {
    const jobId = await recorded('FINALIZING');
    const folder = join(jobFolder(config, jobId), 'i1');
    writeFileSync(join(folder, 'p2.mkv'), Buffer.alloc(20_000, 'no media'));
    const { finalize, close } = fileActivities(config, null);
    expect(await run(finalize, { jobId })).toMatchObject({ missingParts: 1 });
    await close();
    expect(readdirSync(folder)).toEqual(expect.arrayContaining(['p1.mkv', 'p2.mkv']));
    await db.job.update({ where: { id: jobId }, data: { state: 'PARTIAL', endedAt: new Date() } });
    copyFileSync(join(media, 'p1.mkv'), join(folder, 'p2.mkv'));
    await refinalize(jobId);
    await expect.poll(async () => (await videosOf(jobId)).videos.length, { timeout: 30_000 }).toBe(2);
    const again = await db.file.findFirstOrThrow({ where: { jobId, kind: 'VIDEO', version: 2 } });
    expect(again.durationMs).toBeCloseTo(6_000, -2);
  }, 60_000);

  test('warnings are over before the job is, and are not told of afterwards', async () => {
    const jobId = await createJobRow(db, projectId, 'FINALIZING');
    await db.job.update({ where: { id: jobId }, data: { incarnation: 1 } });
    const wake = createWake(db);
    const transitions = createTransitions({ db, wake, config });
    const captures = createCaptures({ db, wake, transitions });
    const warning: HostWarning = { code: 'BLACK_PICTURE', since: 1_000, message: 'The picture is black.' };
    await captures.warned({ jobId, incarnation: 1 }, [warning]);
    await transitions.transition({ jobId, to: 'FAILED', reason: 'MACHINE_LOST' });
    await captures.warned({ jobId, incarnation: 1 }, [warning]);
    await captures.warned({ jobId, incarnation: 1 }, []);
    const events = await db.event.findMany({ where: { jobId }, orderBy: { jobSequence: 'asc' } });
    expect(events.map(({ type, jobSequence }) => [jobSequence, type]).slice(1)).toEqual([
      [2, 'JobWarningRaised'],
      [3, 'JobWarningCleared'],
      [4, 'JobStateChanged'],
    ]);
    expect(await db.jobWarning.count({ where: { jobId, clearedAt: null } })).toBe(0);
  });

  test('a job whose machine is away is not promised what nobody can do', async () => {
    const jobId = await recorded('FAILED');
    await db.job.update({ where: { id: jobId }, data: { machineId: 'm-lost' } });
    expect(await refinalize(jobId)).toMatchObject({ code: 'UNAVAILABLE' });
    expect((await db.job.findUniqueOrThrow({ where: { id: jobId } })).fileVersion).toBe(1);
  });
});
