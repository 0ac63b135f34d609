/** How recordings of live inputs end by themselves, or never begin, or are deleted under way; and that nothing of them is left lying about. */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { partFilePattern } from '../../src/jobs/capture.js';
import { freePort } from '../../stack/ports.js';
import { cardMaster } from '../testkit/card-master.js';
import { recorderProcesses } from '../testkit/recorder-processes.js';
import { createRecordingKit, type RecordedFile, type RecordingKit, type TestRecording } from '../testkit/recordings.js';
import { filesOf, startWebServer } from '../testkit/sender-servers.js';
import { startSender } from '../testkit/senders.js';
import { cardFps, numbersOf, sendTo, stretchesOf } from '../testkit/sent-card.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recording-'));
const cutFrames = 8;
const passphrase = 'a-very-secret-phrase';
let db: Database;
let kit: RecordingKit;
beforeAll(async () => {
  db = createDatabase(stack.databaseUrl);
  kit = createRecordingKit(stack);
  await Promise.all([cardMaster(), cardMaster('audio')]);
}, 120_000);
afterAll(async () => {
  await kit.close();
  await db.$disconnect();
  rmSync(folder, { recursive: true, force: true });
});

type Input = Parameters<RecordingKit['create']>[0]['input'];
async function create(input: Input, more: Partial<Parameters<RecordingKit['create']>[0]> = {}) {
  const recording = await kit.create({ input, ...more });
  onTestFinished(() => recording.remove().catch(() => {}));
  return recording;
}

/** Names of parts in a folder of a job, and below it. */
function partsOf(jobId: string): string[] {
  const jobFolder = join(stack.dataDir, 'jobs', jobId);
  if (!existsSync(jobFolder)) return [];
  return readdirSync(jobFolder, { recursive: true })
    .map(String)
    .filter((path) => partFilePattern.test(path.split('/').at(-1) ?? ''));
}

/** Names of what the storage has below a folder. */
function filesIn(keys: string): string[] {
  const place = join(stack.dataDir, 'files', keys);
  if (!existsSync(place)) return [];
  const entries = readdirSync(place, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

describe.concurrent('what cannot be recorded fails in time, says why, and leaves nothing behind:', () => {
  const connectTimeout = 3;
  interface Case {
    what: string;
    input: () => Promise<Input>;
    send?: (recording: TestRecording) => Promise<{ kill(): Promise<void> }>;
    reason: string;
    words: RegExp;
  }
  const toPort = async (recording: TestRecording) => (await recording.facts()).input.listenPort as number;
  const cases: Case[] = [
    {
      what: 'an SRT address at which nobody listens',
      input: async () => ({ type: 'SRT_URL', url: `srt://127.0.0.1:${await freePort()}` }),
      ...{ reason: 'SOURCE_UNREACHABLE', words: /did not answer/ },
    },
    {
      what: 'an RTSP address at which nobody listens',
      input: async () => ({ type: 'RTSP_URL', url: `rtsp://127.0.0.1:${await freePort()}/card` }),
      ...{ reason: 'SOURCE_UNREACHABLE', words: /could not be reached/ },
    },
    {
      what: 'an SRT encoder that never comes',
      input: async () => ({ type: 'SRT_SERVER' }),
      ...{ reason: 'SOURCE_UNREACHABLE', words: /Nobody has sent/ },
    },
    {
      what: 'an RTMP encoder that never comes',
      input: async () => ({ type: 'RTMP_SERVER' }),
      ...{ reason: 'SOURCE_UNREACHABLE', words: /Nobody has sent/ },
    },
    {
      what: 'an SRT encoder with another passphrase',
      input: async () => ({ type: 'SRT_SERVER', passphrase }),
      send: async (recording) =>
        startSender({ type: 'SRT_SERVER', port: await toPort(recording), passphrase: 'another-secret-phrase' }),
      ...{ reason: 'SOURCE_REFUSED', words: /passphrase/ },
    },
    {
      what: 'datagrams that are no media',
      input: async () => ({ type: 'UDP' }),
      send: async (recording) => sendGarbage(await toPort(recording)),
      ...{ reason: 'SOURCE_UNREADABLE', words: /no media/ },
    },
    {
      what: 'sound alone, where there should be a picture',
      input: async () => ({ type: 'UDP' }),
      send: async (recording) => startSender({ type: 'UDP', port: await toPort(recording), variant: 'audio' }),
      ...{ reason: 'SOURCE_WITHOUT_VIDEO', words: /no picture/ },
    },
  ];
  // Each with an `expect` of its own, since they go on at once.
  test.for(cases)('$what', { timeout: 60_000 }, async ({ input, send, reason, words }, { expect }) => {
    const recording = await kit.create({ input: { ...(await input()), connectTimeout } });
    const jobId = await recording.runJobId();
    const processes = recorderProcesses(stack.dataDir, jobId);
    await recording.until('STARTING', 'FAILED');
    const startedAt = Date.now();
    const sender = await send?.(recording);
    try {
      processes.children('ffmpeg');
      const run = await recording.until('FAILED');
      // To start a recorder, and to end it, takes a moment on a busy machine.
      expect(Date.now() - startedAt).toBeLessThan(connectTimeout * 1000 + 9_000);
      expect([run.reason, run.message]).toEqual([reason, expect.stringMatching(words)]);
      expect(run.message).not.toContain(passphrase);
      expect(run.parts).toEqual([]);
      expect(await recording.files()).toEqual([]);
      expect(partsOf(jobId)).toEqual([]);
      await expect.poll(() => processes.leftovers(), { timeout: 10_000 }).toEqual([]);
    } finally {
      await sender?.kill();
      await recording.remove();
    }
  });
});

async function sendGarbage(port: number) {
  const garbage = Buffer.from('This is no media, whatever it was taken for. '.repeat(40)).subarray(0, 1_316);
  const socket = createSocket('udp4');
  const timer = setInterval(() => socket.send(garbage, port, '127.0.0.1'), 2);
  return {
    async kill() {
      clearInterval(timer);
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}

test('deleted while it records, it ends, and all of it goes: rows, folders, what was stored, and its processes', async () => {
  const recording = await create({ type: 'SRT_SERVER' }, { splitEvery: { seconds: 2 } });
  await recording.until('STARTING');
  const jobId = await recording.runJobId();
  const processes = recorderProcesses(stack.dataDir, jobId);
  await sendTo(recording, { type: 'SRT_SERVER' });
  const [stored] = await recording.filesReach(1);
  processes.children('ffmpeg');
  expect(filesIn(`jobs/${jobId}`).length).toBeGreaterThan(0);
  await recording.remove();
  await expect(recording.facts()).rejects.toThrow('gone');
  expect((await fetch(stored?.downloadUrl as string)).status).toBe(410);
  const left = async () => ({
    recordings: await db.recording.count({ where: { id: recording.recordingId } }),
    jobs: await db.job.count({ where: { id: jobId } }),
    files: await db.file.count({ where: { jobId } }),
    folder: existsSync(join(stack.dataDir, 'jobs', jobId)),
    stored: filesIn(`jobs/${jobId}`),
    processes: processes.leftovers(),
  });
  await expect
    .poll(left, { timeout: 60_000, interval: 250 })
    .toEqual({ recordings: 0, jobs: 0, files: 0, folder: false, stored: [], processes: [] });
}, 90_000);

describe('a source that is over ends its recording, which has all of it:', () => {
  test('an encoder that does not come back in time', async () => {
    const recording = await create({ type: 'SRT_SERVER', reconnectTimeout: 3 });
    await recording.until('STARTING');
    await sendTo(recording, { type: 'SRT_SERVER', seconds: 6 });
    await recording.until('RECONNECTING');
    const lostAt = Date.now();
    const run = await recording.until('COMPLETE');
    // A machine that is busy takes a while to make the file.
    expect(Date.now() - lostAt).toBeLessThan(20_000);
    expect(run).toMatchObject({ reason: 'SOURCE_ENDED', gaps: [] });
    const [file] = (await recording.files()) as [RecordedFile];
    const numbers = await numbersOf(await recording.download(file, folder));
    expect(stretchesOf(numbers.slice(0, -cutFrames))).toEqual([[0, numbers.length - cutFrames - 1]]);
    expect(numbers.length).toBeGreaterThan(6 * cardFps - cutFrames);
  });

  test('a playlist that is whole already, at once', async () => {
    const place = mkdtempSync(join(folder, 'list-'));
    const hls = ['-c', 'copy', '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0', join(place, 'list.m3u8')];
    spawnSync('ffmpeg', ['-v', 'error', '-t', '6', '-i', await cardMaster(), ...hls]);
    const server = await startWebServer(filesOf(place));
    onTestFinished(() => server.close());
    const recording = await create({ type: 'HLS', url: `http://127.0.0.1:${server.port}/list.m3u8` });
    const run = await recording.until('COMPLETE');
    expect(run).toMatchObject({ reason: 'SOURCE_ENDED', gaps: [] });
    const [file] = (await recording.files()) as [RecordedFile];
    const numbers = await numbersOf(await recording.download(file, folder));
    expect(stretchesOf(numbers.slice(0, -cutFrames))).toEqual([[0, numbers.length - cutFrames - 1]]);
    expect(numbers.length).toBeGreaterThanOrEqual(6 * cardFps);
  });

  test('a live playlist to which its end is written, when that is read', async () => {
    const sender = await startSender({ type: 'HLS', seconds: 12 });
    onTestFinished(() => sender.kill());
    const recording = await create({ type: 'HLS', url: sender.url as string });
    await recording.recordedFor(2_000);
    await new Promise((resolve) => sender.process.once('exit', resolve));
    const endedAt = Date.now();
    const run = await recording.until('COMPLETE');
    // Not only when it is waited for in vain, which is for half a minute.
    expect(Date.now() - endedAt).toBeLessThan(12_000);
    expect(run).toMatchObject({ reason: 'SOURCE_ENDED', gaps: [] });
    const [file] = (await recording.files()) as [RecordedFile];
    const [stretch, ...others] = stretchesOf(
      (await numbersOf(await recording.download(file, folder))).slice(0, -cutFrames),
    );
    expect(others).toEqual([]);
    expect(stretch?.[1]).toBeGreaterThan(12 * cardFps - cutFrames);
  }, 60_000);
});
