/** The publish page in a real browser: synthetic people and fake devices, on the real media server. */
import { writeFile } from 'node:fs/promises';
import { join as pathOf } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, inject, test, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { temporaryFolder } from '../testkit/media-parts.js';
import { readFrames, readSound } from '../testkit/media-read.js';
import {
  type InvitingRoom,
  inviteToRoom,
  joinRoom,
  openRoomPage,
  openViewer,
  type PersonOptions,
  type RoomPage,
} from '../testkit/people.js';
import { beepOf, isHue, personSize, readBeepsAt, readHue, toneShares } from '../testkit/people-read.js';

const patience = { timeout: 40_000, interval: 100 };
// Several such waits follow each other.
vi.setConfig({ testTimeout: 150_000 });

let db: Database;
let room: InvitingRoom;
const open: RoomPage[] = [];
beforeAll(() => {
  db = createDatabase(inject('stack').databaseUrl);
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((page) => page.close()));
});
afterAll(() => db.$disconnect());

const kept = <Page extends RoomPage>(page: Page): Page => {
  open.push(page);
  return page;
};

const join = async (name: string, options: Partial<PersonOptions> = {}) =>
  kept(await joinRoom({ stack: inject('stack'), token: await room.invite(name), name, ...options }));

const view = async () => kept(await openViewer({ stack: inject('stack'), token: await room.invite('Viewer') }));

const shown = async (page: RoomPage) =>
  (await page.participants()).filter(({ audio, video }) => audio && video).map(({ name }) => name);

/** What the page shows in an element. */
const text = (page: RoomPage, selector: string) =>
  page.page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`);

test('two people in a room see and hear each other', async () => {
  room = await inviteToRoom(db);
  const small = { width: 320, height: 180, watches: true };
  const ada = await join('Ada', small);
  const ben = await join('Ben', { ...small, codec: 'h264' });
  await expect.poll(() => shown(ada), patience).toEqual(['Ben']);
  await expect.poll(() => shown(ben), patience).toEqual(['Ada']);
  await ben.leave();
  await expect.poll(() => text(ada, '#status'), patience).toBe('Live. Nobody else is here yet.');
  expect([...ada.said, ...ben.said]).toEqual([]);
});

test('of a synthetic person machines read the colour, every picture’s number, the tone, and beeps with their flashes', async () => {
  room = await inviteToRoom(db);
  await join('Ada', { hue: 210, tone: 520 });
  const viewer = kept(await openRoomPage('/viewer', { stack: inject('stack'), token: await room.invite('Viewer') }));
  await expect.poll(() => shown(viewer), patience).toEqual(['Ada']);
  const file = pathOf(await temporaryFolder(), 'ada.webm');
  await writeFile(file, await recordReceived(viewer, 6_000));

  const frames = await readFrames(file, personSize);
  const numbers = frames.flatMap(({ number }) => (number === null ? [] : [number]));
  expect(numbers.length).toBeGreaterThan(frames.length * 0.9);
  expect(numbers.every((number, index) => index === 0 || number >= (numbers[index - 1] as number))).toBe(true);
  expect(isHue(await readHue(file, { x: 0, y: 0, ...personSize }, 3), 210)).toBe(true);

  const sound = await readSound(file);
  const [own, other, between] = toneShares(sound, [520, 620, 440]);
  expect(own).toBeGreaterThan(0.8);
  expect(other).toBeLessThan(0.1);
  expect(between).toBeLessThan(0.1);
  const flashes = frames.filter(({ flash }, index) => flash && frames[index - 1]?.flash === false);
  const beeps = readBeepsAt(sound, beepOf(520));
  // What a browser records of what it receives is only about in step; how exact it is, recordings tell.
  const together = beeps.filter((beep) => flashes.some(({ ptsMs }) => Math.abs(beep - ptsMs) < 300));
  expect(together.length).toBeGreaterThanOrEqual(3);
  // A flash lasts for two pictures, of which a busy machine may lose one.
  const lit = new Set(frames.flatMap(({ flash, number }) => (flash && number !== null ? [number % 15] : [])));
  expect(lit.size).toBeLessThanOrEqual(2);
  const [first = 0, second = first] = lit;
  expect([0, 1, 14]).toContain((second - first + 15) % 15);
});

test('with camera and microphone it joins by its button, and each can be switched off and on', async () => {
  room = await inviteToRoom(db);
  const page = kept(
    await openRoomPage('/publish', { stack: inject('stack'), token: await room.invite('Ada Lovelace') }),
  );
  const viewer = await view();
  await expect.poll(() => text(page, '#microphones option'), patience).toContain('Fake');
  expect(await viewer.participants()).toEqual([]);

  await page.press('join');
  await expect.poll(() => shown(viewer), patience).toEqual(['Ada Lovelace']);
  const pressed = (id: string) => page.page.evaluate(`document.getElementById('${id}').getAttribute('aria-pressed')`);
  await page.press('camera');
  await expect.poll(() => shown(viewer), patience).toEqual([]);
  expect(await viewer.participants()).toMatchObject([{ audio: true, video: false }]);
  expect([await pressed('camera'), await pressed('microphone')]).toEqual(['false', 'true']);
  await page.press('microphone');
  await page.press('camera');
  await expect.poll(() => shown(viewer), patience).toEqual(['Ada Lovelace']);
  expect([await pressed('camera'), await pressed('microphone')]).toEqual(['true', 'false']);

  await page.press('join');
  await expect.poll(() => viewer.participants(), patience).toEqual([]);
  expect(await text(page, '#join')).toBe('Join');
});

test('who is removed is told so, and does not come back by themselves', async () => {
  room = await inviteToRoom(db);
  const ada = await join('Ada', { width: 320, height: 180 });
  const viewer = await view();
  await expect.poll(() => shown(viewer), patience).toEqual(['Ada']);
  const media = await connectMediaServer(inject('stack').mediaServer, { log: pino({ level: 'silent' }) });
  const [{ mediaId } = { mediaId: '' }] = await viewer.participants();
  expect(await media.remove(room.roomId, mediaId)).toBe(true);
  await media.close();
  await expect.poll(() => text(ada, '#message:not([hidden])'), patience).toBe('You were removed from this room.');
  await expect.poll(() => viewer.participants(), patience).toEqual([]);
});

test('a token that only lets its holder watch, or an option that is no number, is refused in words', async () => {
  room = await inviteToRoom(db);
  const watcher = await room.invite('Ada', { scopes: ['subscribe'] });
  const tryPage = async (token: string, options: Record<string, string>) => {
    const page = kept(await openRoomPage('/publish', { stack: inject('stack'), token, options }));
    await expect.poll(() => text(page, '#message:not([hidden])'), patience).toBeTruthy();
    return text(page, '#message');
  };
  expect(await tryPage(watcher, {})).toBe('This link is for watching only. Ask for one that lets you take part.');
  expect(await tryPage(await room.invite('Ada'), { source: 'synthetic', fps: 'fast' })).toBe(
    'fps must be a number from 1 to 60; it is "fast".',
  );
});

/** What a page receives of its only participant, recorded by the browser: VP8 and Opus. */
async function recordReceived({ page }: RoomPage, forMs: number): Promise<Buffer> {
  const base64 = (await page.evaluate(`(async () => {
    const tracks = [...document.querySelectorAll('video, audio')].flatMap(({ srcObject }) => srcObject.getTracks());
    const recorder = new MediaRecorder(new MediaStream(tracks), { mimeType: 'video/webm;codecs=vp8,opus', videoBitsPerSecond: 3e6 });
    const chunks = [];
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
    recorder.start();
    setTimeout(() => recorder.stop(), ${forMs});
    await stopped;
    const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
    let text = '';
    for (let from = 0; from < bytes.length; from += 30000) text += String.fromCharCode(...bytes.subarray(from, from + 30000));
    return btoa(text);
  })()`)) as string;
  return Buffer.from(base64, 'base64');
}
