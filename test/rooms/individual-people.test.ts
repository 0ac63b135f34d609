/** Individual recording of real browsers, which send key frames when they are asked for them, and only then. */
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import { sendCommand } from '../../worker/host/client.js';
import { hostOn, livePage, servePages } from '../testkit/host.js';
import { mediaTools } from '../testkit/media-parts.js';
import { flashesIn, readFrames, readSound } from '../testkit/media-read.js';
import { inviteToRoom, joinRoom, type RoomPage } from '../testkit/people.js';
import { beepOf, isHue, personSize, readBeepsAt, readHue, toneShares } from '../testkit/people-read.js';
import { unpackTar } from '../testkit/tar.js';

const patience = { timeout: 60_000 };
const people = [
  { name: 'Ada', hue: 0, tone: 330, codec: 'vp8' },
  { name: 'Ben', hue: 240, tone: 550, codec: 'h264' },
] as const;
const tones = people.map(({ tone }) => tone);
// Two browsers that encode, and one that is captured.
vi.setConfig({ testTimeout: 150_000 });

let db: Database;
const open: RoomPage[] = [];
beforeAll(() => {
  const { databaseUrl, mediaServer } = inject('stack');
  db = createDatabase(databaseUrl);
  vi.stubEnv('JANUS_URL', mediaServer.url);
  vi.stubEnv('JANUS_API_SECRET', mediaServer.apiSecret);
  vi.stubEnv('JANUS_ADMIN_KEY', mediaServer.adminKey);
});
afterEach(() => Promise.all(open.splice(0).map((page) => page.close())));
afterAll(async () => {
  vi.unstubAllEnvs();
  await db.$disconnect();
});

test('browsers in a room are recorded one by one, each with their own colour and tone, sound and picture together', async () => {
  const room = await inviteToRoom(db);
  for (const { name, hue, tone, codec } of people) {
    const visit = { stack: inject('stack'), token: await room.invite(name) };
    open.push(await joinRoom({ ...visit, ...personSize, name, hue, tone, codec }));
  }
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, {
    ...{ width: 320, height: 240, fps: 10, maxDurationMs: 120_000 },
    ...{ room: { roomId: room.roomId, layout: 'grid' }, individual: true },
  });
  const begun = () => host.manifest().filter((entry) => entry.type === 'track-first-media');
  await expect.poll(() => begun().length, patience).toBeGreaterThanOrEqual(2);
  const latest = () => Math.max(...begun().map(({ at }) => at));
  await expect.poll(() => Date.now() - latest(), patience).toBeGreaterThan(6_000);
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });

  const jobFolder = dirname(host.folder);
  const storage = join(jobFolder, 'storage');
  const { files } = await finalizeJob({
    ...{ jobFolder, jobId: 'job-1', name: 'People', tools: mediaTools, storage: createLocalStorage(storage) },
  });
  const tar = files.find(({ kind }) => kind === 'TAR')?.storageKey as string;
  const { manifest, path } = await unpackTar(join(storage, tar), join(jobFolder, 'unpacked'));
  for (const [index, { name, hue, tone }] of people.entries()) {
    const participant = manifest.participants.find(({ identity }) => identity === name.toLowerCase());
    // Where the machine hangs, one before it may have been ended.
    const file = participant?.files.at(-1);
    expect(participant).toMatchObject({ name });
    expect(file).toMatchObject({ endCause: 'STOPPED' });
    const media = path(file?.file as string);
    expect(isHue(await readHue(media, { x: 0, y: 0, ...personSize }, 2), hue)).toBe(true);
    const sound = await readSound(media);
    const shares = toneShares(sound, tones);
    expect(shares[index]).toBeGreaterThan(0.7);
    expect(shares[1 - index]).toBeLessThan(0.05);
    const frames = await readFrames(media, personSize);
    const flashes = flashesIn(frames);
    const lags = readBeepsAt(sound, beepOf(tone)).flatMap((beep) => {
      const near = flashes.map(({ ptsMs }) => beep - ptsMs).filter((lag) => Math.abs(lag) < 400);
      return near.sort((a, b) => Math.abs(a) - Math.abs(b)).slice(0, 1);
    });
    expect(lags.length).toBeGreaterThan(2);
    expect(Math.abs(median(lags))).toBeLessThan(150);
  }
});

const median = (values: number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
