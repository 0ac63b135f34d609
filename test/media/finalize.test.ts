import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { appendFile, copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { hostFiles, type ManifestEntry } from '../../src/jobs/capture.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob, removeParts } from '../../worker/finalize/finalize.js';
import { LessFoundError } from '../../worker/finalize/finalize-errors.js';
import { recordingName, safeName } from '../../worker/finalize/names.js';
import { removeOtherKeys } from '../../worker/finalize/stored-keys.js';
import { expectPlayable } from '../testkit/media.js';
import { mediaTools, temporaryFolder, writeKilledPart, writePart } from '../testkit/media-parts.js';
import { contentReport } from '../testkit/media-report.js';

const recordedAt = Date.UTC(2026, 0, 31, 23, 59, 58);
let sources: string;
let root: string;
let jobFolder: string;
let storageFolder: string;

beforeAll(async () => {
  sources = await temporaryFolder();
  await Promise.all([writePart(join(sources, 'whole.mkv'), 3), writeKilledPart(join(sources, 'killed.mkv'), 2, 150)]);
});

beforeEach(async () => {
  root = await temporaryFolder();
  jobFolder = join(root, 'job');
  storageFolder = join(root, 'storage');
});

afterEach(() => rm(root, { recursive: true, force: true }));

afterAll(() => rm(sources, { recursive: true, force: true }));

const finalize = (signal?: AbortSignal) =>
  finalizeJob({
    jobFolder,
    jobId: 'job-1',
    name: 'Stand-up: Müller & Söhne/2',
    storage: createLocalStorage(storageFolder),
    tools: mediaTools,
    signal,
  });

async function addPart(incarnation: number, part: number, source: string): Promise<string> {
  const folder = join(jobFolder, `i${incarnation}`);
  await mkdir(folder, { recursive: true });
  await copyFile(join(sources, source), join(folder, `p${part}.mkv`));
  return folder;
}

const manifest = (folder: string, ...entries: ManifestEntry[]) =>
  appendFile(join(folder, hostFiles.manifest), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));

/** A whole part of 3 s, then a new recorder's killed one 2 s later. */
async function addTwoParts(): Promise<void> {
  const first = await addPart(1, 1, 'whole.mkv');
  await manifest(
    first,
    { type: 'part-started', part: 1, at: recordedAt - 200 },
    { type: 'first-frame', part: 1, at: recordedAt },
    { type: 'part-ended', part: 1, at: recordedAt + 3_000, durationMs: 3_000, bytes: 1, cause: 'BROWSER_DIED' },
  );
  const second = await addPart(2, 1, 'killed.mkv');
  await manifest(
    second,
    { type: 'part-started', part: 1, at: recordedAt + 4_800 },
    { type: 'first-frame', part: 1, at: recordedAt + 5_000 },
  );
  // Torn by the crash.
  await appendFile(join(second, hostFiles.manifest), '{"type":"part-ended","part":1,"at":17');
}

/** Names of the stored files, each in a folder of its own. */
const stored = async () =>
  (await readdir(join(storageFolder, 'jobs/job-1'), { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();

describe('finalizing a job', () => {
  test('makes one playable file with its facts, its checksum and a thumbnail, of the parts of all recorders', async () => {
    await addTwoParts();
    const job = await finalize();
    expect(job.parts).toMatchObject([
      { incarnation: 1, number: 1, durationMs: 3_000, endCause: 'BROWSER_DIED' },
      { incarnation: 2, number: 1, endCause: 'HOST_DIED' },
    ]);
    // The sound encoder begins one block of 21 ms before the first picture.
    expect(job.parts[0]?.startedAt.getTime()).toBe(recordedAt + 21);
    expect(job.parts[1]?.startedAt.getTime()).toBe(recordedAt + 5_021);
    expect(job.recordedMs).toBe((job.parts[0]?.durationMs as number) + (job.parts[1]?.durationMs as number));

    const base = 'Stand-up Muller Sohne 2-2026-01-31_23-59-58';
    expect(job.files).toMatchObject([
      {
        kind: 'VIDEO',
        name: `${base}.mp4`,
        mediaType: 'video/mp4',
        width: 320,
        height: 240,
        videoCodec: 'h264',
        audioCodec: 'aac',
      },
      { kind: 'THUMBNAIL', name: `${base}.jpg`, mediaType: 'image/jpeg', width: 320, height: 240 },
    ]);
    const video = join(storageFolder, job.files[0]?.storageKey as string);
    await expectPlayable(video, { durationMs: job.recordedMs, toleranceMs: 100 });
    expect((await stat(video)).size).toBe(job.files[0]?.sizeBytes);
    expect(await sha256sum(video)).toBe(job.files[0]?.sha256.toString('hex'));
    const report = await contentReport(video);
    expect(report).toMatchObject({ first: 0, unreadable: 0, outOfOrder: 0, tonePresent: true, missing: [[90, 149]] });
    expect(report.distinct).toBe(report.frames);
  });

  test('gives the same result when it is run twice', async () => {
    await addTwoParts();
    const first = await finalize();
    const files = await stored();
    expect(await finalize()).toEqual(first);
    expect(await stored()).toEqual(files);
    expect(await readdir(jobFolder)).toEqual(['finalized.json', 'i1', 'i2', 'stored-keys.jsonl']);
  });

  test('stores nothing under keys of another attempt, and what became no result can be removed', async () => {
    await addTwoParts();
    const first = await finalize();
    // Finalizing goes on here although another machine has done it: nothing is known here of what it made.
    await rm(join(jobFolder, 'finalized.json'));
    const second = await finalize();
    const keys = [...first.files, ...second.files].map(({ storageKey }) => storageKey);
    expect(new Set(keys).size).toBe(4);
    expect(keys.every((key) => /^jobs\/job-1\/[0-9a-f]{24}\/Stand-up-/.test(key))).toBe(true);
    expect(second.files.map(({ name }) => name)).toEqual(first.files.map(({ name }) => name));
    const results = first.files.map(({ storageKey }) => storageKey);
    await removeOtherKeys(jobFolder, results, createLocalStorage(storageFolder), 1);
    expect(keys.filter((key) => existsSync(join(storageFolder, key)))).toEqual(results);
    expect(await readdir(jobFolder)).not.toContain('stored-keys.jsonl');
  });

  test('makes no files shorter than earlier ones', async () => {
    await addPart(1, 1, 'whole.mkv');
    const again = (leastMs: number) =>
      finalizeJob({
        ...{ jobFolder, jobId: 'job-1', version: 2, leastMs, name: 'x', tools: mediaTools },
        storage: createLocalStorage(storageFolder),
      });
    await expect(again(3_001)).rejects.toThrow(LessFoundError);
    expect(await stored()).toEqual([]);
    expect((await again(3_000)).files).toHaveLength(2);
  });

  test('gives the same result after its parts were removed, which happens only on request', async () => {
    await addTwoParts();
    const first = await finalize();
    expect(await readdir(join(jobFolder, 'i1'))).toContain('p1.mkv');
    await rm(join(jobFolder, 'i1/p1.mkv'));
    expect(await finalize()).toEqual(first);
    await removeParts(jobFolder);
    expect([...(await readdir(join(jobFolder, 'i1'))), ...(await readdir(join(jobFolder, 'i2')))]).toEqual([
      hostFiles.manifest,
      hostFiles.manifest,
    ]);
    expect(await finalize()).toEqual(first);
  });

  test('removes nothing of a job that was not finalized, nor a part that nobody could read', async () => {
    const folder = await addPart(1, 1, 'whole.mkv');
    await removeParts(jobFolder);
    await writeFile(join(folder, 'p2.mkv'), Buffer.alloc(20_000, 'no media'));
    const job = await finalize();
    expect(job.parts[1]).toMatchObject({
      ...{ durationMs: 0, unreadable: true, bytes: 20_000 },
      problem: expect.stringContaining('Invalid data'),
    });
    await removeParts(jobFolder);
    expect(await readdir(folder)).toEqual(['p2.mkv']);
  });

  test('knows parts that no manifest names', async () => {
    await addPart(1, 1, 'whole.mkv');
    const { recordedMs, parts } = await finalize();
    expect(recordedMs).toBe(3_000);
    expect(Math.abs((parts[0]?.startedAt.getTime() as number) + 3_000 - Date.now())).toBeLessThan(30_000);
  });

  test('keeps ten parts in the order in which they were recorded', async () => {
    for (const part of [10, 9, 2, 1]) await addPart(1, part, 'whole.mkv');
    expect((await finalize()).parts.map(({ number }) => number)).toEqual([1, 2, 9, 10]);
  });

  test('delivers what explains a failed page when nothing was recorded', async () => {
    const folder = join(jobFolder, 'i1');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, hostFiles.screenshot), 'picture');
    await writeFile(join(folder, hostFiles.console), 'error: not found\n');
    await writeFile(join(folder, 'p1.mkv'), '');
    const job = await finalize();
    expect(job).toMatchObject({
      recordedMs: 0,
      parts: [{ durationMs: 0, problem: expect.stringContaining('0 bytes') }],
    });
    expect(job.files.map(({ kind, name, sizeBytes }) => ({ kind, name, sizeBytes }))).toEqual([
      { kind: 'SCREENSHOT', name: 'Stand-up Muller Sohne 2-page.png', sizeBytes: 7 },
      { kind: 'LOG', name: 'Stand-up Muller Sohne 2-console.log', sizeBytes: 17 },
    ]);
    expect(await stored()).toEqual(['Stand-up-Muller-Sohne-2-console.log', 'Stand-up-Muller-Sohne-2-page.png']);
  });

  test('gives nothing for a job that never had a recorder', async () => {
    expect(await finalize()).toEqual({ recordedMs: 0, parts: [], files: [] });
  });
});

describe('finalizing that is cut off', () => {
  test('by an abort ends soon, leaves nothing half done, and can be done again', async () => {
    await addTwoParts();
    const abort = new AbortController();
    const cut = finalize(abort.signal);
    setTimeout(() => abort.abort(new Error('cut off')), 150);
    await expect(cut).rejects.toThrow('cut off');
    expect(await stored()).toEqual([]);
    expect(await readdir(jobFolder)).toEqual(['i1', 'i2']);
    expect((await finalize()).recordedMs).toBeGreaterThan(4_000);
  });

  test('by kill -9 at any point gives the whole result the next time, and no other file', async () => {
    await addTwoParts();
    for (const afterMs of [100, 300, 500]) {
      const child = await startFinalizing();
      await sleep(afterMs);
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    const again = await finalize();
    expect(await readdir(jobFolder)).toEqual(['finalized.json', 'i1', 'i2', 'stored-keys.jsonl']);
    const results = again.files.map(({ storageKey }) => storageKey);
    await removeOtherKeys(jobFolder, results, createLocalStorage(storageFolder));
    expect(await stored()).toHaveLength(2);
    const video = join(storageFolder, again.files[0]?.storageKey as string);
    expect((await contentReport(video)).missing).toEqual([[90, 149]]);
  });

  /** The same work in a process of its own; resolves when it begins. */
  async function startFinalizing() {
    const module = (path: string) => JSON.stringify(pathToFileURL(join(import.meta.dirname, '../..', path)).href);
    const script = `
      const { finalizeJob } = await import(${module('worker/finalize/finalize.ts')});
      const { createLocalStorage } = await import(${module('src/storage/local.ts')});
      process.stdout.write('begin');
      await finalizeJob({ jobFolder: ${JSON.stringify(jobFolder)}, jobId: 'job-1', name: 'Stand-up: Müller & Söhne/2',
        storage: createLocalStorage(${JSON.stringify(storageFolder)}), tools: ${JSON.stringify(mediaTools)} });`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    return child;
  }
});

test('a tool that is missing is named, and the parts stay', async () => {
  await addTwoParts();
  const broken = finalizeJob({
    ...{ jobFolder, jobId: 'job-1', name: 'x', storage: createLocalStorage(storageFolder) },
    tools: { ...mediaTools, ffprobe: '/nowhere/ffprobe' },
  });
  await expect(broken).rejects.toThrow('/nowhere/ffprobe could not be started');
  expect(await readdir(jobFolder)).toEqual(['i1', 'i2']);
});

test('file names hold nothing but letters, digits, spaces, underscores and dashes, and are never empty', () => {
  expect(safeName('../../etc/passwd\u0000')).toBe('etc passwd');
  expect(safeName('日本')).toBe('recording');
  expect(safeName('a'.repeat(500))).toHaveLength(80);
  expect(recordingName('Café №5', new Date(recordedAt))).toBe('Cafe No5-2026-01-31_23-59-58');
});

async function sha256sum(file: string): Promise<string> {
  const child = spawn('sha256sum', [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [text] = (await once(child.stdout, 'data')) as [Buffer];
  return text.toString().slice(0, 64);
}
