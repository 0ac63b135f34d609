/** One participant of a room as an input: waited for, heard and seen, and ended with what they publish. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { MediaServer } from '../../src/media/media-server.js';
import { readInput } from '../testkit/inputs.js';
import { expectTogether } from '../testkit/media.js';
import { contentReport } from '../testkit/media-report.js';
import { type OwnMediaServer, startMediaServer } from '../testkit/media-server.js';
import { startSender } from '../testkit/senders.js';

let own: OwnMediaServer;
let server: MediaServer;
beforeAll(async () => {
  own = await startMediaServer({ listening: false });
  server = await own.connect();
});
afterAll(() => own.close());

async function publish(roomId: string, identity: string, fromSecond = 0) {
  const sender = await startSender({ type: 'PARTICIPANT', fromSecond, room: { server, roomId, identity } });
  onTestFinished(() => sender.stop().catch(() => {}));
  return sender;
}

test('records the one that was asked for, from when they come to when they leave', async () => {
  const roomId = 'room-participant';
  await publish(roomId, 'somebody', 40);
  const opening = readInput({ type: 'PARTICIPANT', roomId, identity: 'anna' }, { mediaServer: own.address });
  const isOpen = await Promise.race([opening.then(() => true), new Promise((resolve) => setTimeout(resolve, 1_500))]);
  expect(isOpen).toBeUndefined();
  const anna = await publish(roomId, 'anna');
  const reading = await opening;
  await reading.written(6);
  await anna.stop();
  // It is told that they have left, and closes its file by itself.
  expect(await reading.ended).toBe(0);
  const report = await contentReport(reading.file);
  expect(report.missing).toEqual([]);
  expect(report.unreadable).toBe(0);
  expect(report.frames).toBeGreaterThan(120);
  expect(report.last).toBeLessThan(600);
  expect(report.tonePresent).toBe(true);
  expectTogether(report.avOffsetsMs);
});

test('waits no longer than it is asked to', async () => {
  const signal = AbortSignal.timeout(1_000);
  const opening = readInput(
    { type: 'PARTICIPANT', roomId: 'room-empty', identity: 'nobody' },
    { mediaServer: own.address, signal },
  );
  await expect(opening).rejects.toMatchObject({ name: 'TimeoutError' });
});
