/** A live input that is recorded in pieces: they are there while it goes on, and together they are all of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { masterSize } from '../testkit/card-master.js';
import { decodingProblems } from '../testkit/media-parts.js';
import { readFrames } from '../testkit/media-read.js';
import { createRecordingKit, type RecordingKit } from '../testkit/recordings.js';
import { startSender } from '../testkit/senders.js';

let kit: RecordingKit;
beforeAll(() => {
  kit = createRecordingKit(inject('stack'));
});
afterAll(() => kit.close());

test('pieces of what an encoder sends can be downloaded while the next are recorded, and nothing is between them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-split-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const recording = await kit.create({
    ...{ input: { type: 'SRT_SERVER' }, mode: 'SPLIT_BY_TIME', splitEvery: { seconds: 2 }, outputFormat: 'MKV' },
    deleteAfter: 7,
  });
  await recording.until('STARTING');
  const { input } = await recording.facts();
  const sender = await startSender({
    type: 'SRT_SERVER',
    port: Number(new URL(input.sendTo as string).port),
    seconds: 40,
  });
  onTestFinished(() => sender.kill());
  const early = await recording.filesReach(3);
  expect((await recording.run()).state).toBe('RECORDING');
  expect(early[0]?.name).toMatch(/^Test-\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-2)?\.mkv$/);
  const files = await recording.finish();
  expect(files.length).toBeGreaterThan(early.length);
  expect(files.slice(0, early.length).map(({ id }) => id)).toEqual(early.map(({ id }) => id));
  expect(new Set(files.map(({ name }) => name)).size).toBe(files.length);
  const numbers: (number | null)[] = [];
  for (const file of files) {
    const path = await recording.download(file, folder);
    expect(await decodingProblems(path)).toBe('');
    numbers.push(...(await readFrames(path, masterSize)).map(({ number }) => number));
  }
  const first = numbers[0] as number;
  // A recorder that is stopped leaves out one or two of the last, which refer to some that it did not get any more.
  const kept = numbers.slice(0, -4);
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => first + index));
  expect(kept.length).toBeGreaterThan(150);
}, 180_000);
