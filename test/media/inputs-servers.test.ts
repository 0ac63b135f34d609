/** Who publishes to us: one at a time, who has the key, and without having to come again because a recording is changed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../stack/ports.js';
import { cardMaster } from '../testkit/card-master.js';
import { readInput } from '../testkit/inputs.js';
import { contentReport } from '../testkit/media-report.js';
import { type Sender, type SenderOptions, startSender } from '../testkit/senders.js';

const streamKey = 'a1b2c3d4e5f6a7b8';
/** A stream that is cut off has lost what its last pictures refer to. */
const cutFrames = 8;
const servers = ['RTMP_SERVER', 'RTSP_SERVER'] as const;

async function sender(options: SenderOptions): Promise<Sender> {
  const started = await startSender({ streamKey, ...options });
  onTestFinished(() => started.kill());
  return started;
}

test('a publisher stays over a change: the next part begins with the key frame that follows', async () => {
  const listenPort = await freePort();
  const first = await readInput({ type: 'RTMP_SERVER', listenPort, streamKey });
  const { process } = await sender({ type: 'RTMP_SERVER', port: listenPort });
  await first.written(3);
  await first.stop();
  await sleep(500);
  const second = await readInput({ type: 'RTMP_SERVER', listenPort, streamKey });
  await second.written(3);
  await second.stop();
  expect(process.exitCode).toBeNull();
  const [before, after] = [await contentReport(first.file), await contentReport(second.file)];
  expect(after.missing.filter(([from]) => from < after.last - cutFrames)).toEqual([]);
  // What came while nobody read it is there too, from the first key frame on: there is one each second.
  expect(after.first % 30).toBe(0);
  expect(after.first - before.last).toBeGreaterThan(0);
  expect(after.first - before.last).toBeLessThanOrEqual(34);
  expect(after.tonePresent).toBe(true);
});

test.each(servers)(
  '%s: who comes second is sent away, and who comes back is let in',
  async (type) => {
    const listenPort = await freePort();
    const reading = await readInput({ type, listenPort, streamKey });
    const first = await sender({ type, port: listenPort });
    await reading.written(1);
    const second = await sender({ type, port: listenPort });
    await expect.poll(() => second.process.exitCode, { timeout: 5_000 }).not.toBeNull();
    await reading.written(3);
    expect(reading.notes.join('\n')).toMatch(/somebody else is publishing/);
    // Its connection stays, and says nothing any more.
    first.process.kill('SIGSTOP');
    await sleep(3_500);
    await sender({ type, port: listenPort, fromSecond: 20 });
    expect(await reading.ended).toBe(0);
    await reading.stop();
    const report = await contentReport(reading.file);
    expect(report.missing.filter(([from]) => from < report.last - cutFrames)).toEqual([]);
    expect(report.last).toBeLessThan(600);
  },
  60_000,
);

test.each(servers)('%s: connections that say nothing keep nobody out', async (type) => {
  const listenPort = await freePort();
  const reading = await readInput({ type, listenPort, streamKey });
  for (let count = 0; count < 5; count++) {
    const socket = connect(listenPort, '127.0.0.1');
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
    if (count > 2) socket.write('GET / HTTP/1.1\r\n\r\n');
  }
  await sleep(300);
  await sender({ type, port: listenPort });
  await reading.written(1);
});

test('an encoder that would rather send RTSP by UDP sends it over its connection', async () => {
  const listenPort = await freePort();
  const reading = await readInput({ type: 'RTSP_SERVER', listenPort, streamKey });
  const input = ['-re', '-i', await cardMaster()];
  const to = `rtsp://127.0.0.1:${listenPort}/${streamKey}`;
  const encoder: ChildProcess = spawn('ffmpeg', ['-nostdin', '-v', 'error', ...input, '-c', 'copy', '-f', 'rtsp', to], {
    stdio: 'ignore',
  });
  onTestFinished(() => void encoder.kill('SIGKILL'));
  await reading.written(2);
  await reading.stop();
  const report = await contentReport(reading.file);
  expect(report.missing.filter(([from]) => from < report.last - cutFrames)).toEqual([]);
  expect(report.tonePresent).toBe(true);
});
