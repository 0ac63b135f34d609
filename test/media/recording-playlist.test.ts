/** A recording that was asked for as HLS plays under one address, for whoever was given it. */
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createDeliverables } from '../../src/services/deliverables.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import { api } from '../testkit/api.js';
import { createJobRow, createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { mediaTools, temporaryFolder, writeEncodedPart } from '../testkit/media-parts.js';
import { play, playerPage } from '../testkit/player.js';

const stack = inject('stack');
let db: Database;
let root: string;
beforeAll(async () => {
  db = createDatabase(stack.databaseUrl, 2);
  root = await temporaryFolder();
});
afterAll(async () => {
  await db.$disconnect();
  await rm(root, { recursive: true, force: true });
});

const filesOf = `query($id: ID!) { job(id: $id) { files { nodes { id kind name playUrl publicUrl } } } }`;

interface Found {
  job: { files: { nodes: { id: string; kind: string; name: string; playUrl: string | null }[] } };
}

/** A job whose files are made of one part, and a key that sees it. */
async function recorded() {
  const projectId = await createProject(db);
  const token = await createKey(db, projectId, ['jobs:read', 'files:read']);
  const jobId = await createJobRow(db, projectId, 'FINALIZING');
  const folder = join(root, jobId);
  await mkdir(join(folder, 'i1'), { recursive: true });
  await writeEncodedPart(join(root, 'part.mkv'), { seconds: 8, size: { width: 480, height: 270 } });
  await copyFile(join(root, 'part.mkv'), join(folder, 'i1', 'p1.mkv'));
  const made = await finalizeJob({
    ...{ jobFolder: folder, jobId, name: 'Main program', tools: mediaTools },
    storage: createLocalStorage(join(stack.dataDir, 'files')),
    output: { format: 'M3U8', splitMs: null, fillGaps: false, hasVideo: true, hasAudio: true },
  });
  await createDeliverables({ db, wake: () => {} }).delivered(jobId, made);
  const id = Buffer.from(`Job:${jobId}`).toString('base64url');
  const files = async () => (await api(token).get<Found>(filesOf, { id })).job.files.nodes;
  return { jobId, files };
}

test('plays in hls.js on a page of another site, and for nobody who was not given its address', async () => {
  const { jobId, files } = await recorded();
  const nodes = await files();
  expect(nodes.map(({ kind, playUrl }) => [kind, playUrl !== null]).sort()).toEqual([
    ['PLAYLIST', true],
    ['SEGMENTS', false],
    ['THUMBNAIL', false],
  ]);
  const url = nodes.find(({ kind }) => kind === 'PLAYLIST')?.playUrl as string;
  const answer = await fetch(url);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/vnd.apple.mpegurl']);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  expect(await play(await playerPage(), url)).toMatchObject({ width: 480, height: 270, isLive: false, errors: [] });

  const media = new URL('Main-program-', url).href;
  const name = nodes.find(({ kind }) => kind === 'SEGMENTS')?.name as string;
  const range = await fetch(new URL(name, url), { headers: { range: 'bytes=0-99' } });
  expect([range.status, range.headers.get('content-type')]).toEqual([206, 'video/mp4']);
  const beside = nodes.find(({ kind }) => kind === 'THUMBNAIL')?.name as string;
  const denied = [
    media,
    // Only what a playlist may name.
    new URL(encodeURIComponent(beside), url).href,
    url.replace(/\.[A-Za-z0-9_-]{43}\//, `.${'A'.repeat(43)}/`),
    url.replace(/files\/[0-9a-f-]{36}/, `files/${uuid()}`),
    url.replace(/\/files\/([0-9a-f-]{36})\/[^/]+\//, '/files/$1/public/'),
  ];
  for (const address of denied) expect((await fetch(address)).status, address).toBe(404);

  await db.file.updateMany({ where: { jobId }, data: { visibility: 'PUBLIC' } });
  const open = (await files()).find(({ kind }) => kind === 'PLAYLIST')?.playUrl as string;
  expect(open).toContain('/public/');
  expect((await fetch(new URL(name, open))).status).toBe(200);
}, 150_000);
