import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, onTestFinished, test, vi } from 'vitest';
import { processes } from '../../chaos/processes.js';
import { uuidOf } from '../../schema/ids.js';
import { connectMediaServer } from '../../src/media/connect.js';
import type { MediaParticipant, MediaServer } from '../../src/media/media-server.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { api } from '../testkit/api.js';
import { keepPassedOn, startEncoder } from '../testkit/encoder.js';
import { contentReport } from '../testkit/media-report.js';
import { openViewer } from '../testkit/people.js';

const patience = { timeout: 45_000, interval: 100 };
// Several such waits follow each other.
vi.setConfig({ testTimeout: 150_000 });

/** A process of the stack, as it notes them. */
function pidOf(name: string): number {
  const notes = JSON.parse(readFileSync(join(inject('stack').dataDir, 'processes.json'), 'utf8'));
  return (notes as Record<string, { pid: number }>)[name]?.pid as number;
}

interface Room {
  id: string;
  token: string;
  ingest: { rtmpUrl: string; srtUrl: string; streamKey: string };
}

let server: MediaServer;
beforeAll(async () => {
  server = await connectMediaServer(inject('stack').mediaServer, { log: pino({ level: 'silent' }) });
});
afterAll(() => server.close());

async function newRoom(): Promise<Room> {
  const { ensureRoom } = await api().get<{ ensureRoom: { room: Omit<Room, 'token'>; token: string } }>(
    `mutation($name: String!) { ensureRoom(input: { name: $name }) {
      ... on EnsureRoomPayload { token room { id ingest { rtmpUrl srtUrl streamKey } } } } }`,
    { name: `ingest ${randomUUID()}` },
  );
  return { ...ensureRoom.room, token: ensureRoom.token };
}

/** Everybody who came into the room, in order; those who have gone again are in `gone`. */
async function watch({ id }: Room) {
  const roomId = uuidOf(id, ['Room']) as string;
  const came: MediaParticipant[] = [];
  const gone: string[] = [];
  const stop = await server.follow(roomId, (news) => {
    if (news.type === 'published') came.push(news.participant);
    else gone.push(news.mediaId);
  });
  onTestFinished(stop);
  return {
    came,
    gone,
    /** The nth that came. */
    async next(nth: number): Promise<MediaParticipant> {
      await expect.poll(() => came.length, patience).toBeGreaterThanOrEqual(nth);
      return came[nth - 1] as MediaParticipant;
    },
    keep: (participant: MediaParticipant, seconds: number) => keepPassedOn(server, roomId, participant, seconds),
  };
}

async function shown(room: Room) {
  const { node } = await api().get<{ node: { participants: { nodes: unknown[] }; session: unknown } }>(
    `query($id: ID!) { node(id: $id) { ... on Room {
      participants { nodes { kind identity name isHealthy issues tracks { kind codec } } }
      session { isHealthy sourceBytes ingestRate } } } }`,
    { id: room.id },
  );
  return { participants: node.participants.nodes, session: node.session };
}

test('what an encoder sends by RTMP is seen in the room as it was sent, and counted; it comes back when the encoder does', async () => {
  const room = await newRoom();
  const people = await watch(room);
  const encoder = startEncoder(room.ingest.rtmpUrl);
  const first = await people.next(1);
  const file = await people.keep(first, 5);

  const { video, audio } = await probe(file, { ffprobe: 'ffprobe' });
  // The profile of the encoder: nothing was encoded again.
  expect(video).toMatchObject({ codec: 'h264', profile: 'High', width: 320, height: 240 });
  expect(audio).toMatchObject({ codec: 'opus', channels: 2 });
  const content = await contentReport(file);
  expect(content).toMatchObject({ outOfOrder: 0, missing: [], tonePresent: true });
  expect(content.distinct).toBeGreaterThan(60);

  const tracks = [
    { kind: 'VIDEO', codec: 'h264' },
    { kind: 'AUDIO', codec: 'opus' },
  ];
  await expect
    .poll(() => shown(room), patience)
    .toMatchObject({
      participants: [{ kind: 'INGEST', identity: 'ingest', name: 'Encoder', isHealthy: true, issues: [], tracks }],
      session: { isHealthy: true },
    });
  const { session } = (await shown(room)) as { session: { sourceBytes: string; ingestRate: number } };
  expect(Number(session.sourceBytes)).toBeGreaterThan(100_000);
  expect(session.ingestRate).toBeGreaterThan(10_000);

  const viewer = await openViewer({ stack: inject('stack'), token: room.token });
  onTestFinished(viewer.close);
  await expect
    .poll(viewer.participants, patience)
    .toMatchObject([{ name: 'Encoder', audio: true, video: true, width: 320, height: 240 }]);

  encoder.process.kill('SIGKILL');
  await expect.poll(() => people.gone, patience).toContain(first.mediaId);
  startEncoder(room.ingest.rtmpUrl);
  expect((await people.next(2)).mediaId).not.toBe(first.mediaId);
});

test('B-frames, which browsers cannot play live, are taken out of what comes by SRT, and the encoder is told to send none; one that falls silent is gone within seconds', async () => {
  const room = await newRoom();
  const people = await watch(room);
  const encoder = startEncoder(room.ingest.srtUrl, { bFrames: 2 });
  const participant = await people.next(1);
  const file = await people.keep(participant, 4);
  expect((await probe(file, { ffprobe: 'ffprobe' })).video).toMatchObject({ profile: 'Constrained Baseline' });
  expect(await contentReport(file)).toMatchObject({ outOfOrder: 0, tonePresent: true });
  await expect
    .poll(async () => (await shown(room)).participants, patience)
    .toMatchObject([{ issues: [expect.stringContaining('B-frames')] }]);

  encoder.process.kill('SIGSTOP');
  await expect.poll(() => people.gone, patience).toEqual([participant.mediaId]);
});

test('a second encoder with the same key replaces the first', async () => {
  const room = await newRoom();
  const people = await watch(room);
  const first = startEncoder(room.ingest.rtmpUrl);
  const { mediaId } = await people.next(1);
  startEncoder(room.ingest.srtUrl);
  await people.next(2);
  await expect.poll(() => people.gone, patience).toEqual([mediaId]);
  expect((await first.ended).code).not.toBe(0);
});

test('an encoder stays when the program that passes it on is killed, and comes back as it connects again after a kill of the ingest server', async () => {
  const room = await newRoom();
  const people = await watch(room);
  const encoder = startEncoder(room.ingest.rtmpUrl);
  const first = await people.next(1);
  // It is in the room a moment before it is passed on.
  const passing = () => processes().find(({ parent, name }) => parent === pidOf('rooms') && name === 'ffmpeg')?.pid;
  await expect.poll(passing, patience).toBeDefined();
  process.kill(passing() as number, 'SIGKILL');
  const second = await people.next(2);
  expect(people.gone).toEqual([first.mediaId]);
  expect(encoder.process.exitCode).toBeNull();

  process.kill(pidOf('mediamtx'), 'SIGKILL');
  expect((await encoder.ended).code).not.toBe(0);
  await expect.poll(() => people.gone, patience).toEqual([first.mediaId, second.mediaId]);
  // Encoders try again and again, and so does this one.
  let again = startEncoder(room.ingest.rtmpUrl);
  await expect
    .poll(() => {
      if (again.process.exitCode !== null) again = startEncoder(room.ingest.rtmpUrl);
      return people.came.length;
    }, patience)
    .toBe(3);
});

test('a stream key that is no longer the room’s cuts its encoder off, and lets nobody in again', async () => {
  const room = await newRoom();
  const people = await watch(room);
  const encoder = startEncoder(room.ingest.rtmpUrl);
  const { mediaId } = await people.next(1);
  const { resetStreamKey } = await api().get<{ resetStreamKey: { room: Room } }>(
    `mutation($id: ID!) { resetStreamKey(input: { roomId: $id }) {
      ... on ResetStreamKeyPayload { room { id ingest { rtmpUrl srtUrl streamKey } } } } }`,
    { id: room.id },
  );
  expect((await encoder.ended).code).not.toBe(0);
  await expect.poll(() => people.gone, patience).toEqual([mediaId]);

  const refused = [startEncoder(room.ingest.rtmpUrl), startEncoder(room.ingest.srtUrl)];
  expect((await Promise.all(refused.map(({ ended }) => ended))).map(({ code }) => code)).not.toContain(0);
  expect(people.came).toHaveLength(1);

  const again = startEncoder(resetStreamKey.room.ingest.srtUrl);
  await people.next(2);
  await api().get('mutation($id: ID!) { deleteRoom(input: { roomId: $id }) { __typename } }', { id: room.id });
  expect((await again.ended).code).not.toBe(0);

  const said = readFileSync(join(inject('stack').dataDir, 'stack.log'), 'utf8');
  for (const { ingest } of [room, resetStreamKey.room]) expect(said).not.toContain(ingest.streamKey);
});
