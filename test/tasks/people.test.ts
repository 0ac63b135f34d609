/** People of a room, each recorded to files of their own: what they sent, over every break, in the format that was asked for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { connectMediaServer } from '../../src/media/connect.js';
import type { MediaServer } from '../../src/media/media-server.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { api } from '../testkit/api.js';
import { expectTogether } from '../testkit/media.js';
import { readBeepsAndFlashes, readFrames, readSound } from '../testkit/media-read.js';
import { recorderProcesses } from '../testkit/recorder-processes.js';
import { ensuredRoom } from '../testkit/room-tokens.js';
import {
  colourOf,
  filmOf,
  heardTone,
  personSize,
  publishPeople,
  type RtpPeople,
  type RtpPerson,
} from '../testkit/rtp-people.js';
import { createTaskKit, type TaskFile, type TaskKit, type TestTask } from '../testkit/tasks.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-tasks-'));
const patience = { timeout: 30_000 };
const anna: RtpPerson = { identity: 'anna', colour: 'red', tone: 437 };
const ben: RtpPerson = { identity: 'ben', colour: 'blue', tone: 700, codec: 'h264' };
const carl: RtpPerson = { identity: 'carl', colour: 'lime', tone: 1_100 };
const people = [anna, ben, carl];
const tones = people.map(({ tone }) => tone);
let kit: TaskKit;
let server: MediaServer;
beforeAll(async () => {
  kit = createTaskKit(stack);
  server = await connectMediaServer(stack.mediaServer, { log: pino({ level: 'silent' }) });
  await Promise.all(people.map(filmOf));
}, 120_000);
afterAll(async () => {
  await server.close();
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Room {
  channel: string;
  /** They come, and leave when the test is over. */
  enter(...who: RtpPerson[]): Promise<RtpPeople>;
}

async function newRoom(): Promise<Room> {
  const channel = `task ${crypto.randomUUID()}`;
  const { roomId } = await ensuredRoom(api(stack.apiKey), channel);
  return {
    channel,
    async enter(...who) {
      const present = await publishPeople(server, roomId, who);
      onTestFinished(() => present.leave());
      return present;
    },
  };
}

const media = (files: readonly TaskFile[]) => files.filter(({ kind }) => kind === 'VIDEO' || kind === 'SEGMENTS');
const named = (files: readonly TaskFile[], name: string) => files.find((file) => file.name === name) as TaskFile;
/** A task that a failed test leaves behind ends by itself. */
const maxDuration = 120;

async function look(task: TestTask, file: TaskFile) {
  const path = await task.download(file, folder);
  const [sound, colour] = [await readSound(path), await colourOf(path)];
  return { path, sound, colour, tone: heardTone(sound, tones) };
}

test('those who were asked for are recorded as they send, each to a file of their own, and nobody else', async () => {
  const { channel, enter } = await newRoom();
  await enter(...people);
  const filenamePattern = 'take {index} of {user} in {region}';
  const task = await kit.start({ channel, users: ['anna', 'ben'], format: 'MKV', filenamePattern, maxDuration });
  const { lease, payload } = await task.until('PROCESSING');
  expect(payload).toMatchObject({ layout: 'FLAT', channel, users: ['anna', 'ben'], video: null, audio: null });
  await task.recordedFor(5_000);
  expect(new Date(lease?.expiresAt ?? 0).getTime()).toBeGreaterThan(Date.now());
  const files = await task.finish();
  const names = files.map(({ name }) => name).sort();
  expect(names.filter((name) => name.endsWith('.mkv'))).toEqual([
    'take 1 of anna in local.mkv',
    'take 1 of ben in local.mkv',
  ]);
  const facts = await task.facts();
  expect(facts).toMatchObject({ state: 'STOPPED', action: 'STOP', reason: 'USER_STOP', error: null, lease: null });
  expect([...facts.payload.files].sort()).toEqual(names.filter((name) => name.endsWith('.mkv')));
  for (const person of [anna, ben]) {
    const file = named(files, `take 1 of ${person.identity} in local.mkv`);
    expect(file).toMatchObject({ ...personSize, videoCodec: person.codec ?? 'vp8', audioCodec: 'opus' });
    expect(file.duration).toBeGreaterThan(4);
    const { path, sound, ...seen } = await look(task, file);
    expect(seen).toEqual({ colour: person.colour, tone: person.tone });
    expectTogether(readBeepsAndFlashes(await readFrames(path, personSize), sound));
  }
}, 120_000);

test('given settings are honoured: picture and sound are encoded so, whatever was sent, and play as HLS', async () => {
  const { channel, enter } = await newRoom();
  await enter(anna);
  const video = { width: 480, height: 270, frameRate: 15, bitrate: 300_000 };
  const audio = { sampleRate: 44_100, channels: 1, bitrate: 64_000 };
  const task = await kit.start({ channel, filenamePattern: '{user}', video, audio, maxDuration });
  await task.recordedFor(6_000);
  const files = await task.finish();
  expect(files.map(({ name, kind }) => `${kind} ${name}`).sort()).toEqual([
    ...['PLAYLIST anna.m3u8', 'SEGMENTS anna.mp4', 'THUMBNAIL anna.jpg'],
  ]);
  const path = await task.download(named(files, 'anna.mp4'), folder);
  const facts = await probe(path, { ffprobe: 'ffprobe' });
  expect(facts.video).toMatchObject({
    codec: 'h264',
    width: 480,
    height: 270,
    fps: expect.closeTo(15, 1),
    pixelFormat: 'yuv420p',
  });
  expect(facts.audio).toMatchObject({ codec: 'aac', sampleRate: 44_100, channels: 1 });
  expect(facts.durationMs).toBeGreaterThan(5_000);
  // 4 to 3 in 16 to 9, with black beside; the rate is the most, and the card is easily encoded.
  expect(await colourOf(path)).toBe('red');
  const playlist = await (await fetch(named(files, 'anna.m3u8').downloadUrl as string)).text();
  expect(playlist).toContain('anna.mp4');
  expect(playlist.trimEnd().endsWith('#EXT-X-ENDLIST')).toBe(true);
}, 120_000);

test('what the format does not hold is encoded, and what it holds is not', async () => {
  const { channel, enter } = await newRoom();
  await enter(anna, ben);
  const task = await kit.start({ channel, filenamePattern: '{user}', maxDuration });
  await task.recordedFor(5_000);
  const files = media(await task.finish());
  expect(files.map(({ name }) => name).sort()).toEqual(['anna.mp4', 'ben.mp4']);
  for (const person of [anna, ben]) {
    const file = named(files, `${person.identity}.mp4`);
    expect(file).toMatchObject({ ...personSize, videoCodec: 'h264', audioCodec: 'aac' });
    const { path, sound, ...seen } = await look(task, file);
    expect(seen).toEqual({ colour: person.colour, tone: person.tone });
    expectTogether(readBeepsAndFlashes(await readFrames(path, personSize), sound));
  }
}, 120_000);

test('whoever leaves and comes back has one file of both, and the task says when nobody was there', async () => {
  const { channel, enter } = await newRoom();
  const first = await enter(ben);
  const task = await kit.start({ channel, users: ['ben'], format: 'MP4', filenamePattern: '{user}', maxDuration });
  await task.recordedFor(4_000);
  await first.leave();
  await expect.poll(async () => (await task.facts()).job.state, patience).toBe('RECONNECTING');
  await enter(ben);
  await task.recordedFor(8_000);
  const files = media(await task.finish());
  expect(files.map(({ name }) => name)).toEqual(['ben.mp4']);
  const { job } = await task.facts();
  expect(job.gaps.map(({ cause }) => cause)).toEqual(['SOURCE_LOST']);
  expect(job.parts.map(({ endCause }) => endCause)).toEqual(['SOURCE_LOST', 'STOPPED']);
  const recordedMs = job.parts.reduce((sum, { duration }) => sum + (duration ?? 0) * 1_000, 0);
  expect((files[0]?.duration ?? 0) * 1_000).toBeGreaterThan(recordedMs - 2_000);
}, 120_000);

test('a task whose people have all left ends by itself', async () => {
  const { channel, enter } = await newRoom();
  const present = await enter(ben);
  const task = await kit.start({ channel, format: 'MP4', idleTimeout: 5, maxDuration });
  await task.recordedFor(2_000);
  await present.leave();
  const { reason, action, payload } = await task.until('STOPPED');
  expect({ reason, action }).toEqual({ reason: 'COMPLETED', action: 'START' });
  expect(payload.files[0]).toMatch(/^task .*-ben-\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.mp4$/);
}, 90_000);

test('a task for which nobody has come is stopped without a file', async () => {
  const { channel } = await newRoom();
  const task = await kit.start({ channel, users: ['nobody'], maxDuration });
  await task.until('PROCESSING');
  expect(await task.finish()).toEqual([]);
  expect(await task.facts()).toMatchObject({ state: 'STOPPED', reason: 'USER_STOP', error: null });
}, 60_000);

test('when its recorder is killed another one goes on, and a file has what both have recorded', async () => {
  const { channel, enter } = await newRoom();
  await enter(anna, ben);
  const task = await kit.start({ channel, format: 'MKV', filenamePattern: '{user}', maxDuration });
  await task.recordedFor(4_000);
  const processes = recorderProcesses(stack.dataDir, task.jobId);
  processes.children('ffmpeg');
  process.kill(processes.host() as number, 'SIGKILL');
  await expect.poll(async () => (await task.facts()).job.parts.length, patience).toBe(2);
  await task.recordedFor(9_000);
  const files = media(await task.finish());
  expect(files.map(({ name }) => name).sort()).toEqual(['anna.mkv', 'ben.mkv']);
  expect(processes.leftovers()).toEqual([]);
  const { job, state } = await task.facts();
  expect(state).toBe('STOPPED');
  expect(job.parts.map(({ incarnation, endCause }) => `${incarnation} ${endCause}`)).toEqual([
    ...['1 HOST_DIED', '2 STOPPED'],
  ]);
  for (const { duration } of files) expect(duration).toBeGreaterThan(7);
}, 120_000);

test('when a writer is killed its user goes on in the next file, and nobody else notices', async () => {
  const { channel, enter } = await newRoom();
  await enter(anna, ben);
  const task = await kit.start({ channel, format: 'MKV', filenamePattern: '{user}', maxDuration });
  await task.recordedFor(3_000);
  const [writer] = recorderProcesses(stack.dataDir, task.jobId).children('ffmpeg');
  process.kill(writer as number, 'SIGKILL');
  await task.recordedFor(8_000);
  const files = media(await task.finish());
  expect(files.map(({ name }) => name).sort()).toEqual(['anna.mkv', 'ben.mkv']);
  expect((await task.facts()).job.parts).toHaveLength(1);
  for (const { duration } of files) expect(duration).toBeGreaterThan(5);
}, 120_000);
