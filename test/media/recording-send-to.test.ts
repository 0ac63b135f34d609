/** What senders are told is so: each line that is shown for a shell, run as it is, is recorded. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, onTestFinished, test } from 'vitest';
import { createDatabase, type Database } from '../../src/db.js';
import { createProject } from '../testkit/jobs.js';
import { createKey } from '../testkit/keys.js';
import { createRecordingKit, type RecordingKit } from '../testkit/recordings.js';

let db: Database;
let kit: RecordingKit;
let folder: string;
beforeAll(async () => {
  db = createDatabase(inject('stack').databaseUrl);
  kit = createRecordingKit({ url: inject('stack').url, apiKey: await createKey(db, await createProject(db)) });
  folder = mkdtempSync(join(tmpdir(), 'tapedeck-send-to-'));
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=320x240:r=25', '-f', 'lavfi', '-i', 'sine=440:r=48000'];
  const encoders = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-c:a', 'aac', '-t', '60'];
  execFileSync('ffmpeg', ['-v', 'error', ...picture, ...encoders, join(folder, 'input.mp4')]);
});
afterAll(async () => {
  await kit.close();
  await db.$disconnect();
  rmSync(folder, { recursive: true });
});

/** Again and again, as encoders do: whoever is to be sent to may not be there yet. */
function run(command: string): void {
  const again = `while :; do ${command} -v error; sleep 0.5; done`;
  const shell = spawn('sh', ['-c', again], { cwd: folder, stdio: 'ignore', detached: true });
  onTestFinished(() => void process.kill(-(shell.pid as number), 'SIGKILL'));
}

test.each([
  ['SRT', { type: 'SRT_SERVER' }],
  ['encrypted SRT', { type: 'SRT_SERVER', passphrase: "it's a $ecret & more", keyLength: 32 }],
  ['RTMP', { type: 'RTMP_SERVER' }],
  ['RTSP', { type: 'RTSP_SERVER', streamKey: 'chosen-by_us' }],
  ['UDP', { type: 'UDP' }],
  ['RTP', { type: 'RTP' }],
  ['RIST', { type: 'RIST' }],
] as const)('by %s', { timeout: 60_000 }, async (_what, input) => {
  const recording = await kit.create({ input });
  onTestFinished(() => recording.remove());
  await recording.until('STARTING');
  run((await recording.facts()).input.sendCommand as string);
  await recording.recordedFor(2_000);
  const [file] = await recording.finish();
  expect(file).toMatchObject({ kind: 'VIDEO', format: 'mp4', videoCodec: 'h264', audioCodec: 'aac', width: 320 });
  expect(file?.duration).toBeGreaterThan(1.5);
});
