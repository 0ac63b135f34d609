/** Pieces of a split recording are delivered once each, whoever delivers them how often, and nothing waits for a slow storage. */
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { type PieceEntry, piecesFolder } from '../../src/jobs/capture.js';
import { createDeliverables } from '../../src/services/deliverables.js';
import { createLocalStorage } from '../../src/storage/local.js';
import type { Storage } from '../../src/storage/storage.js';
import { createPieceDelivery } from '../../worker/activities/piece-delivery.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { mediaTools, temporaryFolder } from '../testkit/media-parts.js';

const stack = inject('stack');
const zeroAt = Date.UTC(2026, 0, 31, 23, 59, 50);
let db: Database;
let root: string;
let captures: ReturnType<typeof createDeliverables>;

beforeAll(async () => {
  db = createDatabase(stack.databaseUrl, 3);
  captures = createDeliverables({ db, wake: () => {} });
  root = await temporaryFolder();
});
afterAll(async () => {
  await db.$disconnect();
  await rm(root, { recursive: true, force: true });
});

/** A run of a recording whose files are kept for so many days. */
async function runRow(deleteAfterDays = 0): Promise<string> {
  const projectId = await createProject(db);
  const recording = { id: uuid(), projectId, name: 'Main program', config: {}, inputType: 'SRT_URL', format: 'MP4' };
  await db.recording.create({ data: { ...recording, deleteAfterDays } });
  const jobId = await createJobRow(db, projectId, 'RECORDING');
  await db.job.update({ where: { id: jobId }, data: { kind: 'RECORDING', recordingId: recording.id } });
  return jobId;
}

/** Its pieces, as a cutter leaves them: three begin within two seconds. */
async function cutRun(jobId: string): Promise<{ folder: string; entries: PieceEntry[] }> {
  const folder = join(root, jobId, 'i1');
  await mkdir(join(folder, piecesFolder), { recursive: true });
  const entries = [0, 1, 2].map((piece): PieceEntry => {
    const file = `p1-0000${piece}.mp4`;
    const path = join(folder, piecesFolder, file);
    const source = [
      '-f',
      'lavfi',
      '-i',
      'testsrc2=s=160x90:r=10',
      '-t',
      '0.6',
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv420p',
    ];
    execFileSync('ffmpeg', ['-v', 'error', '-y', ...source, path]);
    const fromMs = piece * 600;
    const { size } = statSync(path);
    return { type: 'piece', part: 1, piece, file, at: zeroAt + fromMs, fromMs, durationMs: 600, bytes: size };
  });
  return { folder, entries };
}

const rowsOf = (jobId: string) => db.file.findMany({ where: { jobId }, orderBy: { piece: 'asc' } });
const addedEvents = (jobId: string) => db.event.count({ where: { jobId, type: 'JobFileAdded' } });

function deliveryOf(jobId: string, folder: string, storage: Pick<Storage, 'put' | 'remove'> = local()) {
  return createPieceDelivery({
    ...{ jobId, incarnation: 1, folder, name: 'Main program', captures, storage, tools: mediaTools },
    log: pino({ level: 'silent' }),
  });
}
const local = () => createLocalStorage(join(root, 'storage'));

/** Has all of it delivered, and waits for that. */
async function deliverAll(delivery: ReturnType<typeof deliveryOf>, entries: readonly PieceEntry[]): Promise<void> {
  for (const entry of entries) delivery.add(entry);
  await delivery.close(60_000);
}

test('each piece becomes a file once, however often its manifest is read, and no two have one name', async () => {
  const jobId = await runRow(3);
  const { folder, entries } = await cutRun(jobId);
  await deliverAll(deliveryOf(jobId, folder), entries);
  await deliverAll(deliveryOf(jobId, folder), entries);
  const rows = await rowsOf(jobId);
  expect(rows.map(({ piece, name }) => [piece, name])).toEqual([
    ['1-1-0', 'Main program-2026-01-31_23-59-50.mp4'],
    ['1-1-1', 'Main program-2026-01-31_23-59-50-2.mp4'],
    ['1-1-2', 'Main program-2026-01-31_23-59-51.mp4'],
  ]);
  for (const { storageKey, expiresAt, createdAt, width, videoCodec, durationMs } of rows) {
    expect(existsSync(join(root, 'storage', storageKey))).toBe(true);
    expect({ width, videoCodec, durationMs }).toEqual({ width: 160, videoCodec: 'h264', durationMs: 600 });
    const keptMs = (expiresAt?.getTime() ?? 0) - createdAt.getTime();
    expect(Math.abs(keptMs - 3 * 24 * 3_600_000)).toBeLessThan(5_000);
  }
  expect(await addedEvents(jobId)).toBe(3);
  // A second copy beside the parts would only fill the disk.
  expect(await readdir(join(folder, piecesFolder))).toEqual([]);
});

test('of two workers that deliver at once one is first, and the other leaves nothing behind', async () => {
  const jobId = await runRow();
  const { folder, entries } = await cutRun(jobId);
  const both = [deliveryOf(jobId, folder), deliveryOf(jobId, folder)];
  await Promise.all(both.map((delivery) => deliverAll(delivery, entries)));
  const rows = await rowsOf(jobId);
  expect(rows.map(({ piece }) => piece)).toEqual(['1-1-0', '1-1-1', '1-1-2']);
  expect(rows.every(({ expiresAt }) => expiresAt === null)).toBe(true);
  const stored = (await readdir(join(root, 'storage', 'jobs', jobId), { recursive: true })).filter((name) =>
    name.endsWith('.mp4'),
  );
  expect(stored).toHaveLength(3);
  expect(await addedEvents(jobId)).toBe(3);
});

test('a storage that hangs holds nobody up, and one that was away gets what it missed', async () => {
  const jobId = await runRow();
  const { folder, entries } = await cutRun(jobId);
  const hanging = { put: () => new Promise<void>(() => {}), remove: async () => {} };
  const stuck = deliveryOf(jobId, folder, hanging);
  const began = performance.now();
  for (const entry of entries) stuck.add(entry);
  expect(performance.now() - began).toBeLessThan(100);
  await stuck.close(200);
  expect(await rowsOf(jobId)).toEqual([]);
  let refusals = 2;
  const away: Pick<Storage, 'put' | 'remove'> = {
    ...local(),
    async put(...file) {
      if (refusals-- > 0) throw new Error('away');
      await local().put(...file);
    },
  };
  await deliverAll(deliveryOf(jobId, folder, away), entries);
  expect((await rowsOf(jobId)).map(({ piece }) => piece)).toEqual(['1-1-0', '1-1-1', '1-1-2']);
});

test('what is delivered while it is recorded stays when the job’s files are made of the rest', async () => {
  const jobId = await runRow(1);
  const { folder, entries } = await cutRun(jobId);
  await deliverAll(deliveryOf(jobId, folder), entries.slice(0, 2));
  expect(await captures.deliveredPieces(jobId)).toEqual(new Set(['1-1-0', '1-1-1']));
  expect(await captures.deliveredBefore(jobId)).toBeNull();
  const file = (piece: string, name: string) => ({
    ...{ kind: 'VIDEO' as const, name, mediaType: 'video/mp4', sizeBytes: 1, sha256: Buffer.alloc(32), piece },
    storageKey: `jobs/${jobId}/${piece}`,
  });
  // The second came in while these were made.
  const rest = [
    file('1-1-1', 'Main program-2026-01-31_23-59-50.mp4'),
    file('1-1-2', 'Main program-2026-01-31_23-59-50.mp4'),
    { ...file('', 'Main program-2026-01-31_23-59-50.jpg'), piece: undefined, kind: 'THUMBNAIL' as const },
  ];
  const delivered = await captures.delivered(jobId, { parts: [], files: rest, recordedMs: 1_800 });
  const rows = await rowsOf(jobId);
  expect(rows.map(({ piece, name }) => [piece, name])).toEqual([
    ['1-1-0', 'Main program-2026-01-31_23-59-50.mp4'],
    ['1-1-1', 'Main program-2026-01-31_23-59-50-2.mp4'],
    ['1-1-2', 'Main program-2026-01-31_23-59-50-3.mp4'],
    [null, 'Main program-2026-01-31_23-59-50-3.jpg'],
  ]);
  expect(delivered.storageKeys.sort()).toEqual(rows.map(({ storageKey }) => storageKey).sort());
  // Nothing comes after that.
  await deliverAll(deliveryOf(jobId, folder), entries);
  expect(await rowsOf(jobId)).toHaveLength(4);
});
