/** A session's recording plays while it is live, and afterwards in several qualities, under one address. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import {
  type LiveList,
  type LivePiece,
  liveFolder,
  liveListName,
  livePlaylist,
} from '../../src/rooms/live-playlist.js';
import { connectS3 } from '../../src/storage/s3-connection.js';
import { createS3PartStore } from '../../src/storage/s3-parts.js';
import { removeLive } from '../../worker/outlets/live-removal.js';
import { createOutlets } from '../../worker/outlets/outlets.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { growingParts } from '../testkit/growing-part.js';
import { createRoom } from '../testkit/jobs.js';
import { contentReport } from '../testkit/media-report.js';
import { play, playerPage } from '../testkit/player.js';
import { startS3 } from '../testkit/s3.js';

const eventually = { timeout: 60_000, interval: 200 };

test('pieces of a growing part are complete, follow on each other, and go on with the next part', async () => {
  const parts = growingParts();
  const outlets = createOutlets({
    ...{ folder: parts.folder, ffmpeg: 'ffmpeg', note: () => {} },
    egress: { allowedNetworks: [], allowedHosts: [], deniedPorts: [] },
    pieces: { jobId: 'test', incarnation: 1, store: null },
    live: true,
  });
  onTestFinished(() => outlets.close());
  const listFile = join(parts.folder, liveFolder, liveListName);
  const list = (): LiveList => {
    try {
      return JSON.parse(readFileSync(listFile, 'utf8')) as LiveList;
    } catch {
      return { gone: 0, pieces: [] };
    }
  };
  const listed = (count: number) => expect.poll(() => list().pieces.length, eventually).toBeGreaterThanOrEqual(count);
  for (const part of [1, 2]) {
    outlets.partBegan(part);
    parts.begin(part, (part - 1) * 100);
    await listed(part * 2);
    await parts.stop();
    outlets.partEnded(part);
  }
  await outlets.close();
  const { pieces } = list();
  expect(pieces.filter(({ begins }) => begins)).toMatchObject([{ name: 'p1-1-00000.ts' }, { name: 'p2-2-00000.ts' }]);
  for (const part of [1, 2]) {
    const own = pieces.filter(({ name }) => name.startsWith(`p${part}-`));
    const joined = join(parts.folder, `joined-${part}.ts`);
    writeFileSync(joined, Buffer.concat(own.map(({ name }) => readFileSync(join(parts.folder, liveFolder, name)))));
    const [played, recorded] = [await contentReport(joined), await contentReport(parts.file(part))];
    expect(played).toMatchObject({
      first: recorded.first,
      last: recorded.last,
      missing: [],
      outOfOrder: 0,
      unreadable: 0,
    });
  }
  const text = livePlaylist([{ incarnation: 1, list: list() }], { isOver: true, uriOf: (_, { name }) => name });
  expect(text.match(/#EXT-X-DISCONTINUITY$/gm)).toHaveLength(1);
  expect(text.trimEnd().endsWith('#EXT-X-ENDLIST')).toBe(true);
}, 150_000);

test('pieces are in the bucket as they are here, and both are gone once they are removed', async () => {
  const parts = growingParts();
  const job = join(parts.folder, 'job');
  const folder = join(job, 'i1');
  mkdirSync(folder, { recursive: true });
  const s3 = await startS3({ folder: join(parts.folder, 's3') });
  onTestFinished(() => s3.stop());
  const store = createS3PartStore(connectS3(s3.settings, { idleLimitMs: 10_000, attempts: 2 }));
  const outlets = createOutlets({
    ...{ folder, ffmpeg: 'ffmpeg', note: () => {} },
    egress: { allowedNetworks: [], allowedHosts: [], deniedPorts: [] },
    pieces: { jobId: 'test', incarnation: 1, store },
    live: true,
  });
  onTestFinished(() => outlets.close());
  outlets.partBegan(1);
  symlinkSync(parts.file(1), join(folder, 'p1.mkv'));
  parts.begin(1);
  const get = (name: string) => store.get(`test/i1/${liveFolder}/${name}`);
  await expect.poll(() => get(liveListName), eventually).not.toBeNull();
  const list = JSON.parse(String(await get(liveListName))) as LiveList;
  const { name } = list.pieces[0] as LivePiece;
  expect(await get(name)).toEqual(readFileSync(join(folder, liveFolder, name)));
  expect(await get('p9-9-00009.ts')).toBeNull();
  await parts.stop();
  outlets.partEnded(1);
  await outlets.close();
  await removeLive(job, 'test', store);
  expect(await store.list('test/')).toEqual([]);
  expect(existsSync(join(folder, liveFolder))).toBe(false);
}, 150_000);

describe('a session that is recorded by itself', () => {
  const stack = inject('stack');
  let kit: ArchiveKit;
  let db: Database;
  beforeAll(() => {
    kit = createArchiveKit(stack);
    db = createDatabase(stack.databaseUrl, 2);
  });
  afterAll(async () => {
    await kit.close();
    await db.$disconnect();
  });

  test('plays live, then recorded, in hls.js', async () => {
    const playbackId = uuid().replaceAll('-', '').slice(0, 16);
    const url = `${stack.url}/play/${playbackId}.m3u8`;
    expect((await fetch(url)).status).toBe(404);
    // Nobody publishes in it: as a job of the room it would be ended at once. Becomes a session's before it is taken up.
    const archive = await kit.start({
      ...{ width: 480, height: 270, maxDuration: 120 },
      launchTime: new Date(Date.now() + 15_000).toISOString(),
    });
    const { projectId } = await db.job.findUniqueOrThrow({ where: { id: archive.jobId } });
    const roomId = await createRoom(db, projectId);
    const profiles = [
      { name: 'small', fps: 0, bitrate: 200_000, width: 240, height: 136 },
      { name: 'full', fps: 0, bitrate: 800_000, width: 480, height: 270 },
      { name: 'larger', fps: 0, bitrate: 800_000, width: 1280, height: 720 },
    ];
    const session = await db.session.create({
      data: { id: uuid(), projectId, roomId, playbackId, profiles },
    });
    await db.job.update({ where: { id: archive.jobId }, data: { automatic: true, sessionId: session.id } });

    await archive.recordedFor(3_000);
    await expect.poll(async () => (await fetch(url)).status, eventually).toBe(200);
    const live = await fetch(url);
    expect(live.headers.get('content-type')).toBe('application/vnd.apple.mpegurl');
    expect(live.headers.get('cache-control')).toBe('no-cache');
    expect(live.headers.get('access-control-allow-origin')).toBe('*');
    expect(await live.text()).toContain(`${playbackId}/live.m3u8`);
    const page = await playerPage();
    const watching = await play(page, url);
    expect(watching).toMatchObject({ width: 480, height: 270, isLive: true, errors: [] });

    await archive.recordedFor(9_000);
    await archive.stop();
    await archive.until('COMPLETE');
    const master = await (await fetch(url)).text();
    expect(master.match(/^#EXT-X-STREAM-INF/gm)).toHaveLength(2);
    expect(master).toContain('RESOLUTION=240x136');
    const recorded = await play(page, url);
    expect(recorded).toMatchObject({ isLive: false, levels: 2, errors: [] });
    const range = await fetch(`${stack.url}/play/${playbackId}/small.mp4`, { headers: { range: 'bytes=0-99' } });
    expect([range.status, range.headers.get('content-type')]).toEqual([206, 'video/mp4']);
    expect((await range.arrayBuffer()).byteLength).toBe(100);
    expect((await fetch(`${stack.url}/play/${playbackId}/live.m3u8`)).status).toBe(404);
    expect((await fetch(`${stack.url}/play/${playbackId}/host.log`)).status).toBe(404);

    const stats = await db.sessionStats.findUniqueOrThrow({ where: { sessionId: session.id } });
    expect(stats.sourceSegments).toBe(stats.transcodedSegments);
    expect(Number(stats.transcodedSegmentsMs)).toBeGreaterThan(8_000);
    const { recordedMs } = await db.job.findUniqueOrThrow({ where: { id: archive.jobId } });
    const file = join(stack.dataDir, 'files', await storageKey(archive.jobId, 'small.mp4'));
    const content = await contentReport(file);
    expect(Math.abs(content.durationMs - (recordedMs as number))).toBeLessThan(1_000);
    expect(content.toneShare).toBeGreaterThan(0.5);
    // Where it can be changed over from one to the other.
    expect(keyTimes(file)).toEqual(keyTimes(join(stack.dataDir, 'files', await storageKey(archive.jobId, 'full.mp4'))));
  }, 240_000);

  const storageKey = async (jobId: string, name: string) =>
    (await db.file.findFirstOrThrow({ where: { jobId, name } })).storageKey;
});

function keyTimes(file: string): string[] {
  const entries = ['-select_streams', 'v', '-show_entries', 'packet=pts_time,flags', '-of', 'csv=p=0'];
  const lines = execFileSync('ffprobe', ['-v', 'error', ...entries, file], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes('K')).map((line) => Number(line.split(',')[0]).toFixed(1));
}
