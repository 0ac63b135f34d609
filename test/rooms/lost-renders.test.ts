/** Renders whose host was killed: what it published stays on the media server until somebody takes it out. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pino } from 'pino';
import { v7 as uuid } from 'uuid';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MediaServerAddress } from '../../src/config.js';
import type { JobState } from '../../src/jobs/states.js';
import { connectMediaServer } from '../../src/media/connect.js';
import { newMediaId, parseMediaId } from '../../src/media/identity.js';
import type { RtpTrack } from '../../src/media/media-server.js';
import { createLostRenders } from '../../src/services/lost-renders.js';
import { startPublication } from '../../worker/publishing/publication.js';
import { type OwnDatabase, ownDatabase } from '../testkit/database.js';
import { createJobRow, createProject, createRoom } from '../testkit/jobs.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';

const log = pino({ level: 'silent' });
const tracks: RtpTrack[] = [{ mid: '0', kind: 'AUDIO', codec: 'opus', source: null }];
const patience = { timeout: 30_000, interval: 100 };
let own: OwnDatabase;
let media: OwnMediaServer;
let projectId: string;
beforeAll(async () => {
  [own, media] = await Promise.all([ownDatabase(), startMediaServer({ listening: false })]);
  projectId = await createProject(own.db);
});
afterAll(async () => {
  await media?.close();
  await own?.remove();
});

/** A render in a state, published by a connection that has ended; answers how the media server knows it. */
async function published(roomId: string, state: JobState, kind: 'BROWSER' | 'RENDER' = 'RENDER'): Promise<string> {
  const { db } = own;
  const id = await createJobRow(db, projectId, state, { roomId });
  const mediaId = newMediaId('render', `render-${id}`);
  await db.render.create({ data: { id, projectId, name: 'Stage', streamId: mediaId, width: 640, height: 480 } });
  await present(roomId, mediaId, kind);
  return mediaId;
}

async function present(roomId: string, mediaId: string, kind: 'BROWSER' | 'RENDER'): Promise<void> {
  const { identity } = parseMediaId(mediaId) as { identity: string };
  const dead = await connectMediaServer(media.address, { log });
  await dead.publish(roomId, { mediaId, name: 'Stage', tracks });
  await dead.close();
  await own.db.participant.create({ data: { id: uuid(), projectId, roomId, mediaId, kind, identity, name: 'Stage' } });
}

test('what a host published that is gone is taken out of its room, and nobody else is', async () => {
  const roomId = await createRoom(own.db, projectId);
  const server = await media.connect();
  const lives = await published(roomId, 'RECORDING');
  const ends = await published(roomId, 'STOPPING');
  await published(roomId, 'QUEUED');
  await published(roomId, 'COMPLETE');
  const browser = newMediaId('browser', 'ada');
  await present(roomId, browser, 'BROWSER');
  // Of an earlier host of the same render, which publishes under another id by now.
  await present(roomId, newMediaId('render', parseMediaId(lives)?.identity as string), 'RENDER');
  expect(await server.participants(roomId)).toHaveLength(6);

  const lost = createLostRenders({ db: own.db, media: { get: async () => server }, log });
  await lost.look();
  const there = (await server.participants(roomId)).map(({ mediaId }) => mediaId);
  expect(there.sort()).toEqual([lives, ends, browser].sort());
  await lost.look();
  expect(await server.participants(roomId)).toHaveLength(3);
});

/** A way to the media server that can be cut, and mended. */
async function wayTo(address: MediaServerAddress) {
  const target = new URL(address.url);
  const sockets = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connect(Number(target.port), target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy()).on('close', () => to.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: { ...address, url: `ws://127.0.0.1:${port}` },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('a host that ends while its connection is lost leaves the room all the same', async () => {
  const roomId = await createRoom(own.db, projectId);
  const notes: string[] = [];
  const server = await media.connect();
  const way = await wayTo(media.address);
  try {
    const published = await startPublication({
      publication: { roomId, mediaId: newMediaId('render', 'page'), name: 'Page' },
      address: way.address,
      note: (text) => notes.push(text),
    });
    await expect.poll(() => published.isUp(), patience).toBe(true);
    way.cut();
    // By then it waits for a second or two until it tries again.
    const refusals = () => notes.filter((note) => note.startsWith('not published')).length;
    await expect.poll(refusals, patience).toBeGreaterThanOrEqual(2);
    expect(await server.participants(roomId)).toHaveLength(1);
    way.mend();
    await published.close();
    expect(await server.participants(roomId)).toEqual([]);
  } finally {
    way.close();
  }
});

test('a host that ends as it is about to publish does not wait for anything', async () => {
  const roomId = await createRoom(own.db, projectId);
  const server = await media.connect();
  const publication = { roomId, mediaId: newMediaId('render', 'page'), name: 'Page' };
  const published = await startPublication({ publication, address: media.address, note: () => {} });
  await published.close();
  expect(await server.participants(roomId)).toEqual([]);
}, 20_000);
