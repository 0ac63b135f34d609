import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newMediaId } from '../../src/media/identity.js';
import {
  type MediaServer,
  MediaServerLostError,
  type RoomNews,
  type RtpPublication,
  type RtpTrack,
} from '../../src/media/media-server.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';

const patience = { timeout: 30_000 };
const tracks: RtpTrack[] = [
  { mid: '0', kind: 'VIDEO', codec: 'h264', source: 'camera' },
  { mid: '1', kind: 'AUDIO', codec: 'opus', source: 'microphone' },
];

let own: OwnMediaServer;
let server: MediaServer;
const senders: ChildProcess[] = [];
const receivers: Socket[] = [];

beforeAll(async () => {
  own = await startMediaServer();
  server = await own.connect();
});
afterAll(() => own.close());
afterEach(() => {
  for (const sender of senders.splice(0)) sender.kill('SIGKILL');
  for (const receiver of receivers.splice(0)) receiver.close();
});

/** Sends a test picture and a tone, until the test ends. */
function send({ host, port, tracks: [video, audio] }: RtpPublication) {
  const target = `rtp://${host}:${port}?pkt_size=1200`;
  const encodeVideo = '-c:v libx264 -preset ultrafast -tune zerolatency -g 15 -bsf:v dump_extra -payload_type 96';
  const lines = [
    '-nostdin -loglevel error -re -f lavfi -i testsrc=size=320x240:rate=15 -re -f lavfi -i sine',
    `-map 0:v ${encodeVideo} -ssrc ${video?.ssrc} -f rtp ${target}`,
    `-map 1:a -c:a libopus -payload_type 111 -ssrc ${audio?.ssrc} -f rtp ${target}`,
  ];
  senders.push(spawn('ffmpeg', lines.join(' ').split(' '), { stdio: ['ignore', 'ignore', 'inherit'] }));
}

/** Counts the packets of each SSRC and payload type that come to a port of its own. */
async function receiver() {
  const socket = createSocket('udp4');
  receivers.push(socket);
  const packets = new Map<string, number>();
  socket.on('message', (packet) => {
    const kind = `${packet.readUInt32BE(8)}/${packet.readUInt8(1) & 0x7f}`;
    packets.set(kind, (packets.get(kind) ?? 0) + 1);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: (socket.address() as AddressInfo).port, packets };
}

async function publish(roomId = randomUUID()) {
  const mediaId = newMediaId('ingest', 'encoder');
  const publication = await server.publish(roomId, { mediaId, name: 'Encoder', tracks });
  return { roomId, mediaId, publication };
}

const heardOf = (mediaId: string) =>
  own.heard.flatMap((event) => ('mediaId' in event && event.mediaId === mediaId ? [event.type] : []));

test('a room is made once, however many make it at once', async () => {
  const roomId = randomUUID();
  const other = await own.connect();
  await Promise.all([server, other, server, other].map((each) => each.openRoom(roomId)));
  await server.openRoom(roomId);
  const { mediaId } = await publish(roomId);
  expect((await other.participants(roomId)).map((each) => each.mediaId)).toEqual([mediaId]);
});

test('a room that is not there is empty, and nothing can be done to it', async () => {
  const roomId = randomUUID();
  expect(await server.participants(roomId)).toEqual([]);
  expect(await server.remove(roomId, newMediaId('browser', 'ann'))).toBe(false);
  expect(await server.mute(roomId, newMediaId('browser', 'ann'), '0', true)).toBe(false);
  await server.unpublish(roomId, newMediaId('ingest', 'ann'));
  await server.closeRoom(roomId);
});

describe('what is published as RTP', () => {
  test('is a participant like any other, with what its tracks are of', async () => {
    const { roomId, mediaId } = await publish();
    expect(await server.participants(roomId)).toEqual([{ mediaId, name: 'Encoder', tracks }]);
    expect(await server.occupiedRooms()).toContain(roomId);
    await server.unpublish(roomId, mediaId);
    await expect.poll(() => server.participants(roomId), patience).toEqual([]);
    // Who has just looked, to say so, may still be on the way out.
    await expect.poll(() => server.occupiedRooms(), patience).not.toContain(roomId);
  });

  test('is removed like any other', async () => {
    const { roomId, mediaId } = await publish();
    expect(await server.remove(roomId, mediaId)).toBe(true);
    await expect.poll(() => server.participants(roomId), patience).toEqual([]);
    expect(await server.remove(roomId, mediaId)).toBe(false);
  });

  test('ends with its room', async () => {
    const { roomId } = await publish();
    await server.closeRoom(roomId);
    expect(await server.occupiedRooms()).not.toContain(roomId);
    expect(await server.participants(roomId)).toEqual([]);
  });

  test('is forwarded packet by packet, with the payload types and the SSRCs that were asked for', async () => {
    const { roomId, mediaId, publication } = await publish();
    const [video, audio] = [await receiver(), await receiver()];
    const forwarded = await server.forward(roomId, mediaId, '127.0.0.1', [
      { mid: '0', port: video.port, payloadType: 100, ssrc: 7 },
      { mid: '1', port: audio.port, payloadType: 101, ssrc: 8 },
    ]);
    expect(forwarded).toEqual([
      { mid: '0', streamId: expect.any(String), rtcpPort: expect.any(Number) },
      { mid: '1', streamId: expect.any(String), rtcpPort: expect.any(Number) },
    ]);
    send(publication);
    await expect.poll(() => video.packets.get('7/100') ?? 0, patience).toBeGreaterThan(20);
    await expect.poll(() => audio.packets.get('8/101') ?? 0, patience).toBeGreaterThan(20);
    expect([video.packets.size, audio.packets.size]).toEqual([1, 1]);

    for (const { streamId } of forwarded) await server.stopForward(roomId, mediaId, streamId);
    const before = video.packets.get('7/100');
    const later = await receiver();
    await server.forward(roomId, mediaId, '127.0.0.1', [{ mid: '1', port: later.port, payloadType: 111, ssrc: 9 }]);
    await expect.poll(() => later.packets.get('9/111') ?? 0, patience).toBeGreaterThan(20);
    expect(video.packets.get('7/100')).toBe(before);
  });

  test('is forwarded no more while it is muted', async () => {
    const { roomId, mediaId, publication } = await publish();
    const [video, audio] = [await receiver(), await receiver()];
    await server.forward(roomId, mediaId, '127.0.0.1', [
      { mid: '0', port: video.port, payloadType: 96, ssrc: 7 },
      { mid: '1', port: audio.port, payloadType: 111, ssrc: 8 },
    ]);
    expect(await server.mute(roomId, mediaId, '0', true)).toBe(true);
    expect(await server.mute(roomId, mediaId, '9', true)).toBe(false);
    send(publication);
    await expect.poll(() => audio.packets.get('8/111') ?? 0, patience).toBeGreaterThan(20);
    expect(video.packets.size).toBe(0);
    await server.mute(roomId, mediaId, '0', false);
    await expect.poll(() => video.packets.get('7/96') ?? 0, patience).toBeGreaterThan(5);
    await expect
      .poll(() => own.heard, patience)
      .toContainEqual(expect.objectContaining({ type: 'muted', mediaId, mid: '0', muted: false }));
  });
});

test('a track that is not there is not forwarded, and nothing else of the request is', async () => {
  const { roomId, mediaId, publication } = await publish();
  const { port, packets } = await receiver();
  const wishes = [
    { mid: '1', port, payloadType: 111, ssrc: 7 },
    { mid: '7', port: port + 1, payloadType: 96, ssrc: 8 },
  ];
  await expect(server.forward(roomId, mediaId, '127.0.0.1', wishes)).rejects.toThrow('publishes no track 7 now');
  const other = await receiver();
  await server.forward(roomId, mediaId, '127.0.0.1', [{ mid: '1', port: other.port, payloadType: 111, ssrc: 7 }]);
  send(publication);
  await expect.poll(() => other.packets.size, patience).toBe(1);
  expect(packets.size).toBe(0);
});

test('a follower is told what is published at first, then each change, in order, until it stops', async () => {
  const first = await publish();
  const news: RoomNews[] = [];
  const stop = await server.follow(first.roomId, (each) => news.push(each));
  const told = (mediaId: string) => ({ type: 'published', participant: { mediaId, name: 'Encoder', tracks } });
  expect(news).toEqual([told(first.mediaId)]);

  const second = await publish(first.roomId);
  await expect.poll(() => news, patience).toEqual([told(first.mediaId), told(second.mediaId)]);
  await server.unpublish(first.roomId, first.mediaId);
  await expect.poll(() => news.slice(2), patience).toEqual([{ type: 'unpublished', mediaId: first.mediaId }]);
  await server.closeRoom(first.roomId);
  await expect.poll(() => news.slice(3), patience).toEqual([{ type: 'unpublished', mediaId: second.mediaId }]);

  await stop();
  const third = await publish(first.roomId);
  await expect.poll(() => heardOf(third.mediaId), patience).toContain('published');
  expect(news).toHaveLength(4);
});

test('nobody sees who only follows', async () => {
  const roomId = randomUUID();
  const stop = await server.follow(roomId, () => {});
  expect(await server.participants(roomId)).toEqual([]);
  await stop();
});

test('it reports who publishes and leaves, in order, with names, tracks and times', async () => {
  const before = Date.now();
  const { roomId, mediaId } = await publish();
  await server.unpublish(roomId, mediaId);
  await expect.poll(() => heardOf(mediaId), patience).toEqual(['published', 'left']);
  const published = own.heard.find((event) => event.type === 'published' && event.mediaId === mediaId);
  expect(published).toEqual({ type: 'published', at: expect.any(Number), roomId, mediaId, name: 'Encoder', tracks });
  // Its clock is read in microseconds.
  expect((published as { at: number }).at).toBeGreaterThanOrEqual(before - 1);
  expect((published as { at: number }).at).toBeLessThanOrEqual(Date.now());
});

test('after a crash connections are told, new ones work, and nothing is left of before', async () => {
  const crashed = await startMediaServer();
  try {
    const before = await crashed.connect();
    const roomId = randomUUID();
    await before.publish(roomId, { mediaId: newMediaId('ingest', 'encoder'), name: 'Encoder', tracks });
    await crashed.kill();
    expect(await before.ended).toBeInstanceOf(MediaServerLostError);
    await expect(before.openRoom(roomId)).rejects.toThrow(MediaServerLostError);

    const after = await crashed.connect();
    expect(await after.participants(roomId)).toEqual([]);
    const mediaId = newMediaId('ingest', 'encoder');
    await after.publish(roomId, { mediaId, name: 'Encoder', tracks });
    await expect
      .poll(() => crashed.heard.map(({ type }) => type), patience)
      .toEqual(['connected', 'published', 'disconnected', 'connected', 'published']);
  } finally {
    await crashed.close();
  }
});
