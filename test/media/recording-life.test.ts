/** Recordings of a live input, from a client's first request to the files that it downloads. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import type { ManifestEntry } from '../../src/jobs/capture.js';
import { readManifest } from '../../worker/parts/manifest.js';
import { api } from '../testkit/api.js';
import { cardMaster, masterSize } from '../testkit/card-master.js';
import { recorderProcesses } from '../testkit/recorder-processes.js';
import { createRecordingKit, type RecordedFile, type RecordingKit, type TestRecording } from '../testkit/recordings.js';
import { cardFps, isSending, numbersOf, sendTo, stretchesOf } from '../testkit/sent-card.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recording-'));
/** A stream that is cut off has lost what its last pictures refer to, and what had not arrived. */
const cutFrames = 8;
let kit: RecordingKit;
beforeAll(async () => {
  kit = createRecordingKit(stack);
  await cardMaster();
}, 120_000);
afterAll(async () => {
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

async function create(input: Parameters<RecordingKit['create']>[0]): Promise<TestRecording> {
  const recording = await kit.create(input);
  onTestFinished(() => recording.remove());
  await recording.until('STARTING', 'RECORDING');
  return recording;
}

const download = (recording: TestRecording, file: RecordedFile) =>
  recording.download(file, mkdtempSync(join(folder, 'files-')));

const manifestOf = (jobId: string): ManifestEntry[] => readManifest(join(stack.dataDir, 'jobs', jobId, 'i1')).entries;
const entriesOf = <Type extends ManifestEntry['type']>(jobId: string, type: Type) =>
  manifestOf(jobId).filter((entry): entry is Extract<ManifestEntry, { type: Type }> => entry.type === type);

const jobStats = `subscription($id: ID!) { jobStats(jobId: $id) {
  position link { bitrate rtt packetsReceived packetsLost packetsDropped activeStreams } } }`;

interface PushedStats {
  position: number;
  link: Record<'bitrate' | 'rtt' | 'packetsReceived' | 'packetsLost' | 'packetsDropped' | 'activeStreams', number>;
}

/** What is pushed of a job from now on, with when it came. */
async function pushedStats(jobId: string) {
  const socket = await api(stack.apiKey).connect();
  onTestFinished(() => socket.close());
  await socket.init();
  socket.subscribe('stats', jobStats, { id: jobId });
  const pushed: { atMs: number; stats: PushedStats }[] = [];
  void (async () => {
    for (;;) {
      const { payload } = await socket.next('stats');
      const stats = (payload as { data: { jobStats: PushedStats } } | undefined)?.data.jobStats;
      if (stats) pushed.push({ atMs: performance.now(), stats });
    }
  })().catch(() => {});
  return pushed;
}

test('what an encoder sends by SRT is recorded whole, its link is told each second, and its file is as it is listed', async () => {
  const recording = await create({ name: 'Main program', input: { type: 'SRT_SERVER' } });
  await sendTo(recording, { type: 'SRT_SERVER' });
  await recording.until('RECORDING');
  const pushed = await pushedStats((await recording.run()).id);
  await recording.recordedFor(9_000);
  const told = [...pushed];
  const [file, ...others] = (await recording.finish()) as [RecordedFile];

  expect(told.length).toBeGreaterThanOrEqual(5);
  const pauses = told.slice(1).map(({ atMs }, index) => atMs - (told[index]?.atMs as number));
  // Each second, as exactly as a busy machine can.
  expect(Math.max(...pauses)).toBeLessThan(1_900);
  const [{ link, position }] = told.slice(-1).map(({ stats }) => stats) as [PushedStats];
  expect(position).toBeGreaterThan(7);
  expect(link).toMatchObject({ packetsLost: 0, packetsDropped: 0, activeStreams: 1 });
  // 0.75 Mbit/s in packets of 1316 bytes: 70 a second.
  expect(link.packetsReceived).toBeGreaterThan(400);
  expect(link.bitrate).toBeGreaterThan(300_000);

  expect(others).toEqual([]);
  expect(file.name).toMatch(/^Main program-\d{4}-\d{2}-\d{2}_\d{2}-\d{2}-\d{2}\.mp4$/);
  expect(file).toMatchObject({ kind: 'VIDEO', format: 'mp4', ...masterSize, videoCodec: 'h264', audioCodec: 'aac' });
  const path = await download(recording, file);
  const bytes = readFileSync(path);
  expect(Number(file.size)).toBe(bytes.length);
  expect(file.sha256sum).toBe(createHash('sha256').update(bytes).digest('base64'));
  const numbers = await numbersOf(path);
  expect(numbers.length).toBeGreaterThan(8 * cardFps);
  expect(stretchesOf(numbers.slice(0, -cutFrames))).toEqual([[0, numbers.length - cutFrames - 1]]);
});

test('started again while it runs, the first run ends as replaced and the second records: never both at once', async () => {
  const recording = await create({ input: { type: 'SRT_SERVER' } });
  await sendTo(recording, { type: 'SRT_SERVER' });
  await recording.recordedFor(3_000);
  const first = await recording.runJobId();
  await recording.start();
  const second = await recording.runJobId();
  expect(second).not.toBe(first);
  await recording.until('STARTING', 'RECORDING');
  await sendTo(recording, { type: 'SRT_SERVER', fromSecond: 20 });
  await recording.recordedFor(3_000);
  const files = await recording.finish();

  const { recording: told } = await api(stack.apiKey).get<{
    recording: { runs: { nodes: { state: string; reason: string }[] } };
  }>('query($id: ID!) { recording(id: $id) { runs(first: 5) { nodes { state reason } } } }', { id: recording.id });
  expect(told.runs.nodes).toEqual([
    { state: 'COMPLETE', reason: 'USER_INITIATED' },
    { state: 'COMPLETE', reason: 'REPLACED' },
  ]);
  const lastEnd = entriesOf(first, 'part-ended').at(-1)?.at as number;
  const begin = entriesOf(second, 'first-frame')[0]?.at as number;
  expect(begin).toBeGreaterThanOrEqual(lastEnd);
  expect(files).toHaveLength(2);
  const stretches = await Promise.all(
    files.map(async (file) => stretchesOf((await numbersOf(await download(recording, file))).slice(0, -cutFrames))),
  );
  expect(stretches.map((found) => found[0]?.[0])).toEqual([0, 20 * cardFps]);
  expect(stretches.map(({ length }) => length)).toEqual([1, 1]);
});

test('changed while it runs, it goes on as the next part, whoever sends stays connected, and no picture is there twice', async () => {
  const recording = await create({ input: { type: 'SRT_SERVER' } });
  const sender = await sendTo(recording, { type: 'SRT_SERVER' });
  await recording.recordedFor(4_000);
  const jobId = await recording.runJobId();
  const processes = recorderProcesses(stack.dataDir, jobId);
  const connection = processes.children('srt-live-transmit');
  expect(connection).toHaveLength(1);
  const changedAt = Date.now();
  await recording.update({
    takesEffect: 'NOW',
    transcoding: { video: { mode: 'TRANSCODE', width: 160, preset: 'ULTRAFAST' } },
  });
  const next = () => entriesOf(jobId, 'first-frame').find(({ part }) => part === 2);
  await expect.poll(next, { timeout: 30_000, interval: 50 }).toBeDefined();
  // When its first media came, which is known a while later where the machine is busy.
  expect((next()?.at ?? 0) - changedAt).toBeLessThan(4_000);
  await sleep(4_000);
  expect(isSending(sender)).toBe(true);
  expect(processes.children('srt-live-transmit')).toEqual(connection);
  const files = await recording.finish();

  expect(entriesOf(jobId, 'part-ended').map(({ cause }) => cause)).toEqual(['RECONFIGURED', 'STOPPED']);
  expect(files.map(({ width, height }) => [width, height])).toEqual([
    [320, 240],
    [160, 120],
  ]);
  const [before, after] = (await Promise.all(
    files.map(async (file) => {
      const size = { width: file.width as number, height: file.height as number };
      return stretchesOf((await numbersOf(await download(recording, file), size)).slice(0, -cutFrames));
    }),
  )) as [[number, number][], [number, number][]];
  expect([before.length, after.length]).toEqual([1, 1]);
  const [[[first, last] = []], [[begin = 0, end = 0] = []]] = [before, after];
  expect(first).toBe(0);
  expect(begin).toBeGreaterThan((last as number) + cutFrames);
  expect(begin - (last as number)).toBeLessThan(3 * cardFps);
  expect(end - begin).toBeGreaterThan(2 * cardFps);
});

test('the pieces of a split recording are files while it goes on, and all of them have every picture once', async () => {
  const recording = await create({
    ...{ input: { type: 'SRT_SERVER' }, splitEvery: { seconds: 2 } },
    transcoding: { video: { mode: 'TRANSCODE', preset: 'ULTRAFAST', forceKeyFrames: 2 } },
  });
  await sendTo(recording, { type: 'SRT_SERVER' });
  const early = await recording.filesReach(2);
  expect((await recording.run()).state).toBe('RECORDING');
  const firstPiece = await numbersOf(await download(recording, early[0] as RecordedFile));
  expect(stretchesOf(firstPiece)).toEqual([[0, 59]]);
  await recording.recordedFor(9_000);
  const files = await recording.finish();
  expect(files.slice(0, 2).map(({ id }) => id)).toEqual(early.slice(0, 2).map(({ id }) => id));
  const pieces = await Promise.all(files.map(async (file) => numbersOf(await download(recording, file))));
  expect(pieces.slice(0, -1).map(({ length }) => length)).toEqual(pieces.slice(0, -1).map(() => 60));
  const all = pieces.flat();
  expect(all.length).toBeGreaterThan(8 * cardFps);
  expect(stretchesOf(all.slice(0, -cutFrames))).toEqual([[0, all.length - cutFrames - 1]]);
}, 60_000);
