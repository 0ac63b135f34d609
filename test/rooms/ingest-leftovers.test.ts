import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newMediaId } from '../../src/media/identity.js';
import { connectToJanus } from '../../src/media/janus/connection.js';
import type { RtpTrack } from '../../src/media/media-server.js';
import { withoutLeftovers } from '../../worker/ingest/leftovers.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';

const silent = pino({ level: 'silent' });
let own: OwnMediaServer;
beforeAll(async () => {
  own = await startMediaServer({ listening: false });
});
afterAll(() => own.close());

test('encoders that a process left in rooms when it died are taken out before new ones come in, and nobody else is', async () => {
  const tracks: RtpTrack[] = [{ mid: '0', kind: 'AUDIO', codec: 'opus', source: null }];
  const [one, another] = ['0199f3f0-0000-7000-8000-000000000001', '0199f3f0-0000-7000-8000-000000000002'];
  const dead = await own.connect();
  const page = newMediaId('render', 'page');
  for (const roomId of [one, another]) {
    await dead.publish(roomId, { mediaId: newMediaId('ingest', 'ingest'), name: 'Encoder', tracks });
  }
  await dead.publish(one, { mediaId: page, name: 'A page', tracks });
  await dead.close();

  const next = await own.connect();
  const there = async (roomId: string) => (await next.participants(roomId)).map(({ mediaId }) => mediaId);
  expect(await there(another)).toHaveLength(1);
  const link = withoutLeftovers({ get: async () => next }, silent);
  const server = await link.get();
  expect(await there(one)).toEqual([page]);
  expect(await there(another)).toEqual([]);

  const mediaId = newMediaId('ingest', 'ingest');
  await server.publish(one, { mediaId, name: 'Encoder', tracks });
  await link.get();
  expect(await there(one)).toContain(mediaId);
});

test('a room that does not let us in keeps no encoder out of others, and theirs in', async () => {
  const tracks: RtpTrack[] = [{ mid: '0', kind: 'AUDIO', codec: 'opus', source: null }];
  const [foreign, ours] = ['0199f3f0-0000-7000-8000-000000000003', '0199f3f0-0000-7000-8000-000000000004'];
  const others = await connectToJanus(own.address, { log: silent });
  try {
    const handle = await others.attach('janus.plugin.videoroom');
    const pin = 'known to others';
    await handle.request({ request: 'create', admin_key: own.address.adminKey, room: foreign, pin, secret: pin });
    await handle.request({
      request: 'join',
      ptype: 'publisher',
      room: foreign,
      pin,
      id: newMediaId('browser', 'else'),
    });
    const dead = await own.connect();
    await dead.publish(ours, { mediaId: newMediaId('ingest', 'ingest'), name: 'Encoder', tracks });
    await dead.close();

    const next = await own.connect();
    expect(await next.occupiedRooms()).toEqual(expect.arrayContaining([foreign, ours]));
    await expect(next.participants(foreign)).rejects.toThrow();
    const server = await withoutLeftovers({ get: async () => next }, silent).get();
    expect(await server.participants(ours)).toEqual([]);
  } finally {
    await others.close();
  }
});
