import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { connectMediaServer } from '../../src/media/connect.js';
import { connectToJanus, type JanusConnection, type JanusHandle } from '../../src/media/janus/connection.js';
import { listenForMediaEvents } from '../../src/media/janus/event-feed.js';
import { MediaServerError, type MediaServerEvent } from '../../src/media/media-server.js';
import { isolatedConfig, temporaryDataFolder } from '../../stack/isolated.js';
import { prepareJanus } from '../../stack/janus.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';

const log = pino({ level: 'silent' });
const videoRoom = 'janus.plugin.videoroom';

let own: OwnMediaServer;
let connection: JanusConnection;
let handle: JanusHandle;

beforeAll(async () => {
  own = await startMediaServer({ listening: false });
  connection = await connectToJanus(own.address, { log });
  handle = await connection.attach(videoRoom);
});
afterAll(async () => {
  await connection.close();
  await own.close();
});

/** What a process listens on, as `address:port` in the kernel's own hexadecimal. */
function listening(pid: number, protocol: 'tcp' | 'tcp6' | 'udp' | 'udp6'): string[] {
  const sockets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
  const lines = readFileSync(`/proc/${pid}/net/${protocol}`, 'utf8').trim().split('\n').slice(1);
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, , , state, , , , , , inode]) =>
        (state === '0A' || protocol.startsWith('udp')) && sockets.includes(inode as string),
    )
    .map(([, local]) => local as string);
}

const refused = (code: number) => expect.objectContaining({ name: 'MediaServerError', code });

test('it listens for those who control it on 127.0.0.1 alone, on one port', () => {
  const pid = own.pid as number;
  const port = Number(new URL(own.address.url).port).toString(16).toUpperCase().padStart(4, '0');
  expect(listening(pid, 'tcp')).toEqual([`0100007F:${port}`]);
  for (const protocol of ['tcp6', 'udp', 'udp6'] as const) expect(listening(pid, protocol)).toEqual([]);
});

test('its configuration is for nobody else to read', () => {
  expect(statSync(own.folder).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(own.folder))
    expect([file, statSync(join(own.folder, file)).mode & 0o777]).toEqual([file, 0o600]);
});

test.each(['', 'guess'])('without its secret nothing is let in ("%s")', async (apiSecret) => {
  await expect(connectMediaServer({ ...own.address, apiSecret }, { log })).rejects.toEqual(refused(403));
});

test.each([
  'janus.plugin.streaming',
  'janus.plugin.recordplay',
  'janus.plugin.audiobridge',
  'janus.plugin.textroom',
  'janus.plugin.echotest',
])('%s is not offered', async (plugin) => {
  await expect(connection.attach(plugin)).rejects.toThrow(MediaServerError);
});

test('its administration is served nowhere', async () => {
  const socket = new WebSocket(own.address.url, 'janus-admin-protocol');
  const [error] = await once(socket, 'error');
  expect(error).toBeInstanceOf(Error);
});

describe('with its secret alone', () => {
  const room = randomUUID();
  beforeAll(async () => {
    const server = await own.connect();
    await server.openRoom(room);
  });

  test('no room can be made', async () => {
    await expect(handle.request({ request: 'create', room: randomUUID() })).rejects.toEqual(refused(429));
    const guessed = { request: 'create', room: randomUUID(), admin_key: 'guess' };
    await expect(handle.request(guessed)).rejects.toEqual(refused(433));
  });

  test('rooms are not listed', async () => {
    expect((await handle.request({ request: 'list' })).list).toEqual([]);
  });

  test.each([
    ['ended', { request: 'destroy' }],
    ['changed', { request: 'edit', new_secret: '' }],
    ['recorded', { request: 'enable_recording', record: true }],
    [
      'published in',
      { request: 'add_remote_publisher', id: 'x', streams: [{ mid: '0', mindex: 0, type: 'audio', codec: 'opus' }] },
    ],
  ])('a room cannot be %s', async (_what, request) => {
    await expect(handle.request({ ...request, room })).rejects.toEqual(refused(429));
  });

  test('nothing is forwarded', async () => {
    const request = {
      request: 'rtp_forward',
      room,
      publisher_id: 'x',
      host: '127.0.0.1',
      streams: [{ mid: '0', port: 9 }],
    };
    await expect(handle.request(request)).rejects.toEqual(refused(429));
  });
});

test('its secrets stay the same when its stack is started again, so that old connections can be made anew', () => {
  const { dataDir, remove } = temporaryDataFolder();
  const config = isolatedConfig(dataDir);
  try {
    const first = prepareJanus(config, { port: 1, eventsPort: 2 }).server;
    expect(prepareJanus(config, { port: 1, eventsPort: 2 }).server).toEqual(first);
  } finally {
    remove();
  }
});

describe('the address that media is exchanged on', () => {
  const prepare = (address: string | undefined) => {
    const { dataDir, remove } = temporaryDataFolder();
    const config = isolatedConfig(dataDir);
    try {
      return prepareJanus({ ...config, media: { ...config.media, address } }, { port: 1, eventsPort: 2 }).address;
    } finally {
      remove();
    }
  };

  test('is one of this machine that is not loopback', () => {
    const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    expect(own.filter(({ internal }) => !internal).map(({ address }) => address)).toContain(prepare(undefined));
    expect(prepare(prepare(undefined))).toBe(prepare(undefined));
  });

  test.each(['127.0.0.1', '203.0.113.7'])('cannot be %s', (address) => {
    expect(() => prepare(address)).toThrow(`MEDIA_ADDRESS is ${address}, which is no IPv4 address of this machine`);
  });
});

describe('who reports', () => {
  test('is heard when it is no page, in whatever it can say; what it cannot is left out', async () => {
    const heard: MediaServerEvent[] = [];
    const feed = await listenForMediaEvents({ port: 0, log, onEvent: (event) => heard.push(event) });
    const url = `ws://127.0.0.1:${feed.port}/`;
    const page = new WebSocket(url, 'janus-events', { origin: 'https://example.org' });
    await once(page, 'error');
    const stranger = new WebSocket(url, 'graphql-transport-ws');
    await once(stranger, 'error');
    expect(heard).toEqual([]);

    const janus = new WebSocket(url, 'janus-events', { origin: 'http://127.0.0.1' });
    await once(janus, 'open');
    const stats = { mid: '1', media: 'video', 'bytes-received': 500, 'packets-received': 7, lost: 2, 'bytes-sent': 0 };
    const media = { type: 32, timestamp: 1_700_000_000_123_456, opaque_id: 'b.ann.0123456789ab', handle_id: 12 };
    const messages = [
      'no JSON',
      '7',
      'null',
      '[]',
      '[7, null, {"type": 64}, {"type": 64, "timestamp": 1, "event": {"plugin": "janus.plugin.videoroom", "data": {"event": "joined"}}}]',
      JSON.stringify([
        { ...media, subtype: 3, event: [stats, { mid: '2' }] },
        { ...media, subtype: 1, event: { mid: '1', receiving: false } },
        { ...media, subtype: 2, event: { mid: '1', slow_link: 'downlink' } },
        { ...media, opaque_id: undefined, subtype: 1, event: { mid: '1', receiving: true } },
      ]),
    ];
    for (const message of messages) janus.send(message);
    janus.close();
    await expect.poll(() => heard.at(-1)).toEqual({ type: 'disconnected' });
    const of = { at: 1_700_000_000_123, mediaId: media.opaque_id };
    const counted = { mid: '1', kind: 'VIDEO', bytesReceived: 500, packetsReceived: 7, packetsLost: 2, bytesSent: 0 };
    expect(heard).toEqual([
      { type: 'connected' },
      { type: 'stats', ...of, connection: '12', tracks: [counted] },
      { type: 'receiving', ...of, mid: '1', receiving: false },
      { type: 'slow-link', ...of, uplink: true },
      { type: 'disconnected' },
    ]);
    await feed.close();
  });
});
