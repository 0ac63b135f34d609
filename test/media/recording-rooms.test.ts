/** Recordings of a room as it is seen, and of one participant as they send, from a client's first request to the files. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { connectMediaServer } from '../../src/media/connect.js';
import type { MediaServer } from '../../src/media/media-server.js';
import { api } from '../testkit/api.js';
import { readSound } from '../testkit/media-read.js';
import { toneShares } from '../testkit/people-read.js';
import { createRecordingKit, type RecordedFile, type RecordingKit, type TestRecording } from '../testkit/recordings.js';
import { ensuredRoom } from '../testkit/room-tokens.js';
import { colourOf, filmOf, heardTone, personSize, publishPeople, type RtpPerson } from '../testkit/rtp-people.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recording-'));
const anna: RtpPerson = { identity: 'anna', colour: 'red', tone: 437 };
const ben: RtpPerson = { identity: 'ben', colour: 'lime', tone: 700 };
const tones = [anna.tone, ben.tone];
let kit: RecordingKit;
let server: MediaServer;
beforeAll(async () => {
  kit = createRecordingKit(stack);
  server = await connectMediaServer(stack.mediaServer, { log: pino({ level: 'silent' }) });
  await Promise.all([anna, ben].map(filmOf));
}, 120_000);
afterAll(async () => {
  await server.close();
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A room with these people in it. */
async function roomWith(...people: RtpPerson[]): Promise<string> {
  const { id, roomId } = await ensuredRoom(api(stack.apiKey), `recorded ${crypto.randomUUID()}`);
  const present = await publishPeople(server, roomId, people);
  onTestFinished(() => present.leave());
  return id;
}

async function recorded(recording: TestRecording, ms: number): Promise<{ file: RecordedFile; path: string }> {
  onTestFinished(() => recording.remove());
  await recording.recordedFor(ms);
  const [file, ...others] = (await recording.finish()) as [RecordedFile];
  expect(others).toEqual([]);
  return { file, path: await recording.download(file, folder) };
}

test('a room is recorded as it is seen and heard', async () => {
  const roomId = await roomWith(anna);
  const recording = await kit.create({
    ...{ name: 'Room', input: { type: 'ROOM', roomId } },
    transcoding: { video: { mode: 'TRANSCODE', ...personSize, filterFps: 15 } },
  });
  const { file, path } = await recorded(recording, 8_000);
  expect(file).toMatchObject({ format: 'mp4', ...personSize, videoCodec: 'h264', audioCodec: 'aac' });
  expect(file.name).toMatch(/^Room-\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.mp4$/);
  // Alone, she fills the picture.
  expect(await colourOf(path)).toBe('red');
  expect(toneShares(await readSound(path), tones)[0]).toBeGreaterThan(0.3);
}, 150_000);

test('a participant is recorded as they send, and nobody else with them', async () => {
  const roomId = await roomWith(anna, ben);
  const recording = await kit.create({
    ...{ name: 'Ben', outputFormat: 'MKV', input: { type: 'PARTICIPANT', roomId, identity: 'ben' } },
    transcoding: { video: { mode: 'COPY' }, audio: { mode: 'COPY' } },
  });
  const { file, path } = await recorded(recording, 6_000);
  expect(file).toMatchObject({ format: 'mkv', ...personSize, videoCodec: 'vp8', audioCodec: 'opus' });
  expect(await colourOf(path)).toBe('lime');
  expect(heardTone(await readSound(path), tones)).toBe(ben.tone);
}, 90_000);
