/** A recording of a live input, from a client's first request to the file that it downloads. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { cardInputs } from '../testkit/media-card.js';
import { readFrames } from '../testkit/media-read.js';
import { createRecordingKit, type RecordingKit } from '../testkit/recordings.js';

let kit: RecordingKit;
beforeAll(() => {
  kit = createRecordingKit(inject('stack'));
});
afterAll(() => kit.close());
const size = { width: 320, height: 240 };

function send(url: string, seconds: number) {
  const inputs = cardInputs(size).flatMap((part) => (part === '-f' ? ['-re', '-f'] : [part]));
  const child = spawn(
    'ffmpeg',
    [
      '-nostdin',
      '-v',
      'error',
      ...inputs,
      '-t',
      `${seconds}`,
      '-c:v',
      'libx264',
      '-preset',
      'veryfast',
      '-g',
      '30',
      '-b:v',
      '400k',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'aac',
      '-f',
      url.startsWith('rtmp') ? 'flv' : 'mpegts',
      url,
    ],
    { stdio: 'inherit' },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

test('what an encoder sends by SRT is recorded, whole, and can be downloaded', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-recording-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const recording = await kit.create({ input: { type: 'SRT_SERVER' } });
  const { input } = await recording.facts();
  console.log(input);
  await recording.until('STARTING');
  await sleep(1000);
  send(input.sendTo as string, 20);
  await recording.recordedFor(6_000);
  console.log((await recording.facts()).stats ?? (await recording.run()).stats);
  const files = await recording.finish();
  console.log(files);
  const file = await recording.download(files[0] as never, folder);
  const numbers = (await readFrames(file, size)).map(({ number }) => number as number);
  expect(numbers.length).toBeGreaterThan(150);
  expect(numbers.every((number, index) => index === 0 || number === (numbers[index - 1] as number) + 1)).toBe(true);
});
