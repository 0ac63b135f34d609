/** The viewer page in a real browser, with real people on the real media server. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { type Stack, startStack } from '../../stack/stack.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { readFrames } from '../testkit/media-read.js';
import {
  type InvitingRoom,
  inviteToRoom,
  joinRoom,
  openRoomPage,
  openViewer,
  type PersonOptions,
  type RoomPage,
  type Viewer,
} from '../testkit/people.js';
import { isHue, personSize, readHue } from '../testkit/people-read.js';

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

async function join(name: string, options: Partial<PersonOptions> = {}) {
  const person = { stack: inject('stack'), token: await room.invite(name), name };
  // Half the size in both directions costs a quarter.
  return kept(await joinRoom({ ...person, width: 320, height: 180, ...options }));
}

async function view(options: Record<string, string> = {}, stack = inject('stack') as { url: string }): Promise<Viewer> {
  return kept(await openViewer({ stack, token: await room.invite('Viewer'), options }));
}

/** Names of those who are seen and heard. */
const shown = async (page: RoomPage) =>
  (await page.participants()).filter(({ audio, video }) => audio && video).map(({ name }) => name);

describe('a room with people', () => {
  test('everybody is shown in their own colour with their own pictures, each in their own tile, in order of their names', async () => {
    room = await inviteToRoom(db);
    const [hues, names] = [
      [0, 120, 240],
      ['Ada', 'Ben', 'Cleo'],
    ];
    for (const [index, name] of [...names.entries()].reverse())
      await join(name, { ...personSize, hue: hues[index], tone: 440 + 100 * index });
    const viewer = await view();
    await expect.poll(() => viewer.said, patience).toContain('START_RECORDING');
    await expect.poll(() => shown(viewer), patience).toEqual(names);

    const file = `${inject('stack').dataDir}/viewer-${Date.now()}.png` as `${string}.png`;
    const { tiles, ready, connected } = await viewer.state();
    expect({ ready, connected }).toEqual({ ready: true, connected: true });
    let numbers: (number | null)[] = [];
    const look = async () => {
      await viewer.page.screenshot({ path: file });
      const frames = await Promise.all(tiles.map((tile) => readFrames(file, personSize, tile)));
      numbers = frames.map(([frame]) => frame?.number ?? null);
      const seen = await Promise.all(tiles.map((tile) => readHue(file, tile)));
      return names.map((_, index) => isHue(seen[index] ?? null, hues[index] as number) && numbers[index] !== null);
    };
    // A single picture may be too coarse to be read where the machine is busy.
    await expect.poll(look, patience).toEqual([true, true, true]);
    // They count by the same clock, 15 times a second: nobody is more than five seconds behind.
    expect(Math.max(...(numbers as number[])) - Math.min(...(numbers as number[]))).toBeLessThan(75);
    expect(viewer.said.filter((line) => line !== 'START_RECORDING')).toEqual([]);
  });

  test('the picture adapts when somebody joins and leaves, in whichever way they leave', async () => {
    room = await inviteToRoom(db);
    const viewer = await view();
    // An empty room is recorded as well.
    await expect.poll(() => viewer.said, patience).toEqual(['START_RECORDING']);
    expect(await viewer.state()).toMatchObject({ ready: true, connected: true, participants: [], tiles: [] });

    const ada = await join('Ada');
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada']);
    expect((await viewer.state()).tiles).toMatchObject([{ x: 0, y: 0, width: 1280, height: 720 }]);
    const ben = await join('Ben');
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    expect((await viewer.state()).tiles).toHaveLength(2);

    await ada.leave();
    await expect.poll(() => shown(viewer), patience).toEqual(['Ben']);
    await expect.poll(async () => (await viewer.state()).tiles.length, patience).toBe(1);
    // Who comes again has another media id, and the same name.
    await ada.press('join');
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    await ben.close();
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada']);
    expect(viewer.said).toEqual(['START_RECORDING']);
  });

  test('the layout is chosen by the address and changed while it is shown', async () => {
    room = await inviteToRoom(db);
    await join('Ada');
    await join('Ben');
    const viewer = await view({ layout: 'speaker' });
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    const areas = async () => (await viewer.state()).tiles.map(({ width, height }) => width * height);
    const [large, small] = await areas();
    expect(large).toBeGreaterThan(5 * (small as number));

    expect(await viewer.setLayout('single')).toBe(true);
    expect(await areas()).toEqual([1280 * 720]);
    expect(await viewer.setLayout('grid')).toBe(true);
    const [one, other] = await areas();
    expect(one).toBe(other);
    expect(await viewer.setLayout('carousel')).toBe(false);
    expect((await viewer.state()).layout).toBe('grid');
  });

  test('who sends no picture any more is shown by their initials, and by their picture when it comes again', async () => {
    room = await inviteToRoom(db);
    const ada = await join('Ada');
    const viewer = await view();
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada']);
    await ada.press('camera');
    const pictured = () => viewer.page.evaluate("document.querySelector('.tile').classList.contains('pictured')");
    await expect.poll(pictured, patience).toBe(false);
    expect(await viewer.page.evaluate("document.querySelector('.avatar').textContent")).toBe('A');
    expect(await viewer.participants()).toMatchObject([{ name: 'Ada', audio: true, video: false }]);
    await ada.press('camera');
    await expect.poll(pictured, patience).toBe(true);
  });

  test('a shared screen has a tile of its own and is the large one', async () => {
    room = await inviteToRoom(db);
    const ada = await join('Ada');
    await join('Ben');
    const viewer = await view({ layout: 'speaker' });
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    await ada.press('screen');
    await expect.poll(async () => (await viewer.state()).tiles.length, patience).toBe(3);
    const [large] = (await viewer.state()).tiles;
    expect(large?.key).toMatch(/^b\.ada\.[0-9a-f]{12} .+$/);
    await ada.press('screen');
    await expect.poll(async () => (await viewer.state()).tiles.length, patience).toBe(2);
    expect(await shown(viewer)).toEqual(['Ada', 'Ben']);
  });
});

describe('when the media server is killed', () => {
  let own: OwnDatabase;
  let stack: Stack;
  let removeFolder = () => {};
  beforeAll(async () => {
    own = await ownDatabase();
    const { dataDir, remove } = temporaryDataFolder();
    removeFolder = remove;
    const config = isolatedConfig(dataDir);
    stack = await startStack({
      config: {
        ...config,
        databaseUrl: own.url,
        temporal: { ...config.temporal, address: inject('stack').temporalAddress },
      },
      services: ['api'],
      log: () => {},
    });
  });
  afterAll(async () => {
    await stack?.stop();
    removeFolder();
    await own?.remove();
  });

  test('everybody comes back by themselves, and the recording is not ended', async () => {
    room = await inviteToRoom(own.db);
    await join('Ada', { stack });
    await join('Ben', { stack });
    const viewer = await view({}, stack);
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    // A moment after everybody is shown.
    await expect.poll(() => viewer.said, patience).toEqual(['START_RECORDING']);
    await stack.kill('janus', 'SIGKILL');
    await expect.poll(async () => (await viewer.state()).participants, patience).toEqual([]);
    await expect.poll(() => shown(viewer), patience).toEqual(['Ada', 'Ben']);
    expect(viewer.said).toEqual(['START_RECORDING']);
  });
});

describe('a link that does not work', () => {
  /** Opens the page, and answers what it shows and how often it asked to be let in. */
  async function tryLink(token: string, options: Record<string, string> = {}) {
    const page = kept(await openRoomPage('/viewer', { stack: inject('stack'), token, options }));
    const message = () => page.page.evaluate("document.querySelector('#message:not([hidden])')?.textContent ?? null");
    await expect.poll(message, patience).not.toBeNull();
    return { page, message: await message() };
  }

  test('with a wrong or expired token it shows a message, and does not try again', async () => {
    room = await inviteToRoom(db);
    const token = await room.invite('Ada');
    const wrong = await tryLink(`${token.slice(0, -6)}AAAAAA`);
    const expired = await tryLink(await room.invite('Ada', { expiresAt: new Date(Date.now() - 60_000) }));
    expect(wrong.message).toBe('This link is not valid. Ask for a new one.');
    expect(expired.message).toBe('This link has expired. Ask for a new one.');
    const sockets = await Promise.all([wrong, expired].map(({ page }) => countSockets(page, 2_000)));
    expect(sockets).toEqual([0, 0]);
    expect([...wrong.page.said, ...expired.page.said]).not.toContain('START_RECORDING');
  });

  test('with an unknown media server, an unknown layout or without a token it says so', async () => {
    const token = 'a.b.c';
    expect((await tryLink(token, { env: 'mars' })).message).toContain('There is no media server "mars" here.');
    expect((await tryLink(token, { layout: 'zebra' })).message).toContain('There is no layout "zebra".');
    expect((await tryLink('')).message).toContain('token is missing');
  });
});

/** Sockets that a page opens within some time. */
async function countSockets({ page }: RoomPage, forMs: number): Promise<number> {
  const session = await page.createCDPSession();
  await session.send('Network.enable');
  let count = 0;
  session.on('Network.webSocketCreated', () => count++);
  await new Promise((resolve) => setTimeout(resolve, forMs));
  return count;
}

test('the page is allowed to reach nobody but its own server, and tells nobody its address', async () => {
  const { url } = inject('stack');
  for (const path of ['/viewer', '/publish']) {
    const { headers, status } = await fetch(`${url}${path}?token=secret`);
    expect(status).toBe(200);
    expect(headers.get('content-security-policy')).toContain(
      `connect-src 'self' ws://${new URL(url).host} wss://${new URL(url).host}`,
    );
    expect(headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cache-control')).toBe('no-store');
  }
});

test('scripts and styles are sent again only when they have changed, and nothing else lies beside them', async () => {
  const { url } = inject('stack');
  for (const file of ['viewer.js', 'viewer.css', 'publish.js', 'publish.css']) {
    const first = await fetch(`${url}/web/${file}`);
    expect(first.status).toBe(200);
    expect(await first.text()).not.toMatch(/https:\/\/(?!www\.w3\.org|webrtc\.org|github\.com)/);
    const again = await fetch(`${url}/web/${file}`, { headers: { 'if-none-match': first.headers.get('etag') ?? '' } });
    expect(again.status).toBe(304);
  }
  for (const file of ['viewer.ts', '..%2fpackage.json', 'tsconfig.json', ''])
    expect((await fetch(`${url}/web/${file}`)).status).toBe(404);
});
