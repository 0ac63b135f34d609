/** Recordings that something is killed under: they go on by themselves, say what they are at, and lose no more than what was on its way. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { cardMaster } from '../testkit/card-master.js';
import { recorderProcesses } from '../testkit/recorder-processes.js';
import { createRecordingKit, type RecordedFile, type RecordingKit } from '../testkit/recordings.js';
import { cardFps, isSending, numbersOf, type SentCard, sendTo } from '../testkit/sent-card.js';

const stack = inject('stack');
const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recording-'));
/** A stream that is cut off has lost what its last pictures refer to, and what had not arrived. */
const cutFrames = 8;
const patience = { timeout: 15_000, interval: 50 };
let kit: RecordingKit;
beforeAll(async () => {
  kit = createRecordingKit(stack);
  await cardMaster();
}, 120_000);
afterAll(async () => {
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Pictures from one key frame on, of which there is one each second, until some are missing in front of another. */
function runsOf(numbers: readonly (number | null)[]): number[][] {
  const runs: number[][] = [];
  for (const number of numbers) {
    if (number === null) continue;
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run && last !== undefined && (number === last + 1 || number % cardFps !== 0)) run.push(number);
    else runs.push([number]);
  }
  return runs;
}

test('whatever of it is killed, it goes on, tells how it is, has all that was sent while it recorded, and leaves no process behind', async () => {
  const recording = await kit.create({ input: { type: 'SRT_SERVER' } });
  onTestFinished(() => recording.remove());
  await recording.until('STARTING');
  const processes = recorderProcesses(stack.dataDir, await recording.runJobId());
  let sender: SentCard = await sendTo(recording, { type: 'SRT_SERVER' });
  const kill = (pids: readonly number[]) => {
    expect(pids).toHaveLength(1);
    process.kill(pids[0] as number, 'SIGKILL');
  };
  const state = async () => (await recording.run()).state;
  const partsBegun = async () => (await recording.run()).parts.length;

  // Whoever sends notices nothing of it.
  await recording.recordedFor(3_000);
  kill(processes.children('ffmpeg'));
  await expect.poll(partsBegun, patience).toBe(2);
  await recording.recordedFor(6_000);
  expect(isSending(sender)).toBe(true);

  const goOnFrom = async (fromSecond: number, recordedMs: number) => {
    await expect.poll(state, patience).toBe('RECONNECTING');
    await expect.poll(() => isSending(sender), patience).toBe(false);
    await sleep(1_500);
    expect(await state()).toBe('RECONNECTING');
    sender = await sendTo(recording, { type: 'SRT_SERVER', fromSecond });
    await expect.poll(state, patience).toBe('RECORDING');
    await recording.recordedFor(recordedMs);
  };
  kill(processes.children('srt-live-transmit'));
  await goOnFrom(30, 9_000);
  const host = processes.host() as number;
  kill([host]);
  await goOnFrom(60, 12_000);
  expect(processes.host()).not.toBe(host);
  const { stats } = await recording.run();
  const files = await recording.finish();
  await expect.poll(() => processes.leftovers(), patience).toEqual([]);

  const { gaps, parts, state: last } = await recording.run();
  expect(last).toBe('COMPLETE');
  const causes = ['ENCODER_DIED', 'SOURCE_LOST', 'HOST_DIED'];
  expect(gaps.map(({ cause }) => cause)).toEqual(causes);
  expect(parts.map(({ endCause }) => endCause)).toEqual([...causes, 'STOPPED']);
  expect(files).toHaveLength(1);
  const numbers = await numbersOf(await recording.download(files[0] as RecordedFile, folder));
  const runs = runsOf(numbers);
  expect(runs.map(([first]) => first)).toEqual([0, expect.any(Number), 30 * cardFps, 60 * cardFps]);
  for (const run of runs) {
    const whole = run.slice(0, -cutFrames);
    expect(whole).toEqual(whole.map((_, index) => (run[0] as number) + index));
  }
  const lost = (runs[1]?.[0] ?? 0) - (runs[0]?.at(-1) ?? 0);
  // It goes on with the next key frame, of which there is one each second.
  expect(lost).toBeLessThan(2.5 * cardFps);
  expect(numbers.length).toBeGreaterThan((stats?.position ?? 0) * cardFps - causes.length * cutFrames);
}, 90_000);
