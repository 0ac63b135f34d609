/** Any running job can be looked at while it records, some seconds behind, for as long as somebody looks. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { liveFolder } from '../../src/rooms/live-playlist.js';
import { type ArchiveKit, createArchiveKit } from '../testkit/archives.js';
import { readFrames } from '../testkit/media-read.js';

const size = { width: 640, height: 360 };
const hz = 30;
/** What the mission promises. */
const behindMs = 6_000;

let kit: ArchiveKit;
let db: Database;

beforeAll(() => {
  const stack = inject('stack');
  kit = createArchiveKit(stack);
  db = createDatabase(stack.databaseUrl);
});
afterAll(() => Promise.all([kit.close(), db.$disconnect()]));

const previewUrlOf = async (id: string): Promise<string | null> => {
  const { url, apiKey } = inject('stack');
  const query = 'query ($id: ID!) { job(id: $id) { previewUrl } }';
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
  const answer = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query, variables: { id } }),
  });
  const { data } = (await answer.json()) as { data: { job: { previewUrl: string | null } } };
  return data.job.previewUrl;
};

test('a recording is seen less than six seconds late, without a gap, and is none the worse for it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-preview-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const archive = await kit.start({ ...size, maxDuration: 60 });
  expect(await previewUrlOf(archive.id)).toBeNull();
  await archive.recordedFor(2_000);
  const url = (await previewUrlOf(archive.id)) as string;

  // The first request waits for the first piece.
  const first = await fetch(url);
  expect(first.status).toBe(200);
  const seen: { name: string; bytes: Buffer; atMs: number }[] = [];
  for (let round = 0; round < 14; round++) {
    const playlist = await (await fetch(url)).text();
    for (const name of playlist.split('\n').filter((line) => line && !line.startsWith('#'))) {
      if (seen.some((piece) => piece.name === name)) continue;
      const piece = await fetch(new URL(name, url));
      seen.push({ name, bytes: Buffer.from(await piece.arrayBuffer()), atMs: Date.now() });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  expect(seen.length).toBeGreaterThanOrEqual(3);
  await archive.stop();
  const { startedAt } = await archive.until('COMPLETE');
  const recorded = await readFrames(await archive.download(folder), size);
  const whole = join(folder, 'preview.ts');
  writeFileSync(whole, Buffer.concat(seen.map(({ bytes }) => bytes)));
  const shown = await readFrames(whole, size);
  const numbers = afterFirst(shown);
  const inFile = recorded.map(({ number }) => number);
  const from = inFile.indexOf(numbers[0] as number);
  // Whatever the page drew is in both, picture by picture.
  expect(numbers.slice(0, -4)).toEqual(inFile.slice(from, from + numbers.length - 4));

  for (const [index, { bytes, atMs }] of seen.entries()) {
    // Those that were there when somebody looked first may be older.
    if (index === 0) continue;
    const file = join(folder, `piece-${index}.ts`);
    writeFileSync(file, bytes);
    const last = (await readFrames(file, size)).at(-1)?.number as number;
    const { ptsMs } = recorded.find(({ number }) => number === last) as { ptsMs: number };
    const shownAtMs = new Date(startedAt as string).getTime() + ptsMs;
    expect(atMs - shownAtMs).toBeLessThan(behindMs - 1000 / hz);
  }
});

test('nothing is made for nobody: pieces end when nobody asks any more, and the address opens nothing else', async () => {
  const { url, dataDir } = inject('stack');
  const archive = await kit.start({ ...size, maxDuration: 120 });
  await archive.recordedFor(1_000);
  const pieces = join(dataDir, 'jobs', archive.jobId, 'i1', liveFolder);
  expect(existsSync(pieces)).toBe(false);
  const preview = (await previewUrlOf(archive.id)) as string;
  const id = preview.split('/').at(-1)?.replace('.m3u8', '') as string;
  const wrong = `${id.slice(0, -3)}${id.endsWith('AAA') ? 'BBB' : 'AAA'}`;
  expect((await fetch(`${url}/play/${wrong}.m3u8`)).status).toBe(404);
  expect((await fetch(preview)).status).toBe(200);
  expect(existsSync(pieces)).toBe(true);
  expect((await fetch(`${url}/play/${id}/i1-list.json`)).status).toBe(404);
  expect((await fetch(`${url}/play/${id}/i1-..%2Fhost.log`)).status).toBe(404);
  // As if half a minute had passed.
  await db.job.update({ where: { id: archive.jobId }, data: { previewWantedAt: new Date(0) } });
  await expect.poll(() => existsSync(pieces), { timeout: 15_000 }).toBe(false);
  // Who asks again later sees it again.
  await db.job.update({ where: { id: archive.jobId }, data: { previewWantedAt: new Date() } });
  await expect.poll(async () => (await fetch(preview)).status, { timeout: 20_000 }).toBe(200);
  await archive.stop();
  await archive.until('COMPLETE');
  expect(await previewUrlOf(archive.id)).toBeNull();
  expect((await fetch(preview)).status).toBe(404);
});

/** Numbers of pictures, without those like the first: of a picture that was taken twice the second may be where pieces begin. */
function afterFirst(pictures: readonly { number: number | null }[]): (number | null)[] {
  const numbers = pictures.map(({ number }) => number);
  return numbers.slice(numbers.findIndex((number) => number !== numbers[0]));
}
