/** Renders: a page in a room, seen by people as one of them. */
import { afterAll, afterEach, beforeAll, expect, inject, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createKey } from '../testkit/keys.js';
import {
  type InvitingRoom,
  inviteToRoom,
  joinRoom,
  openViewer,
  type RoomPage,
  type Viewer,
} from '../testkit/people.js';
import { isHue, readHue } from '../testkit/people-read.js';
import { type Receiver, startReceiver } from '../testkit/receiver.js';
import { createRenderKit, type RenderKit } from '../testkit/renders.js';

const stack = inject('stack');
const patience = { timeout: 60_000, interval: 200 };
const open: RoomPage[] = [];
let db: Database;
let receiver: Receiver;
beforeAll(async () => {
  db = createDatabase(stack.databaseUrl);
  receiver = await startReceiver();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((page) => page.close()));
});
afterAll(async () => {
  await receiver.close();
  await db.$disconnect();
});

async function roomWithAda(): Promise<{
  room: InvitingRoom;
  viewer: Viewer;
  client: RenderKit;
  roomId: string;
}> {
  const room = await inviteToRoom(db);
  const client = createRenderKit(await createKey(db, room.projectId));
  open.push(
    await joinRoom({ stack, token: await room.invite('Ada'), name: 'Ada', hue: 0, tone: 330, width: 320, height: 180 }),
  );
  const viewer = await openViewer({ stack, token: await room.invite('Viewer'), width: 640, height: 360 });
  open.push(viewer);
  return { room, viewer, client, roomId: Buffer.from(`Room:${room.roomId}`).toString('base64url') };
}

const namesIn = async (viewer: Viewer) =>
  (await viewer.participants()).filter(({ video }) => video).map(({ name }) => name);

/** The colour of the left of somebody's picture. */
async function hueOf(viewer: Viewer, name: string): Promise<number | null> {
  const { tiles, participants } = await viewer.state();
  const mediaId = participants.find((each) => each.name === name)?.mediaId;
  const tile = tiles.find(({ key }) => mediaId !== undefined && key.includes(mediaId));
  if (!tile) throw new Error(`${name} is not shown: ${JSON.stringify(tiles)}`);
  const file = `${stack.dataDir}/render-${crypto.randomUUID()}.png` as `${string}.png`;
  await viewer.page.screenshot({ path: file });
  // A screen is shown whole: of 640x480 there is nothing at the sides of a wider tile.
  const width = (tile.height * 4) / 3;
  return readHue(file, { ...tile, width, x: tile.x + (tile.width - width) / 2 });
}

test('our own viewer page is rendered into its room: others see everybody in it, but not itself, until it is stopped', async () => {
  const { viewer, client, roomId } = await roomWithAda();
  const { id } = await client.start({ roomId, resolution: 'R640X480', name: 'Stage', callbackUrl: receiver.url });
  await expect.poll(() => namesIn(viewer), patience).toEqual(['Ada', 'Stage']);
  await expect.poll(async () => (await client.facts(id)).status, patience).toBe('STARTED');
  const { streamId } = await client.facts(id);
  expect((await viewer.participants()).map(({ mediaId }) => mediaId)).toContain(streamId);
  // Ada fills it. Were it shown in itself, it would not be hers alone.
  await expect.poll(async () => isHue(await hueOf(viewer, 'Stage'), 0), patience).toBe(true);

  expect(await client.stop(id)).toBe('StopRenderPayload');
  await expect.poll(() => namesIn(viewer), patience).toEqual(['Ada']);
  await expect.poll(async () => (await client.facts(id)).status, patience).toBe('STOPPED');
  await expect.poll(() => receiver.received.some(({ callback }) => callback.status === 'stopped'), patience).toBe(true);
  const started = receiver.received.find(({ callback }) => callback.status === 'started');
  expect(started?.callback).toMatchObject({ id, streamId, sessionId: roomId });
}, 240_000);

test('a page by its address is rendered into a room', async () => {
  const { client, viewer, roomId } = await roomWithAda();
  const { id } = await client.start({ roomId, url: `${stack.url}/demo`, resolution: 'R640X480', name: 'Demo' });
  await expect.poll(() => namesIn(viewer), patience).toEqual(['Ada', 'Demo']);
  expect(await client.stop(id)).toBe('StopRenderPayload');
  await expect.poll(() => namesIn(viewer), patience).toEqual(['Ada']);
}, 240_000);
