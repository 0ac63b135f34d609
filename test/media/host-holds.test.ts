import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readStatus, sendCommand } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

test('waits in STANDBY with the page open, and records when it is told to', async () => {
  const { url, loads } = await countedPage();
  const host = await hostOn(url, { hold: 'standby' });
  await host.phase('STANDBY');
  await sleep(500);
  expect(host.manifest()).toEqual([]);
  expect(loads()).toBe(1);
  const toldAt = Date.now();
  await sendCommand(host.identity, { command: 'record' });
  const { at } = await host.entry('first-frame', 1);
  expect(at - toldAt).toBeLessThan(2_000);
  await host.recordedFor(500);
  // Told again, it changes nothing.
  await sendCommand(host.identity, { command: 'record' });
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(loads()).toBe(1);
  expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
  expect(host.leftovers()).toEqual([]);
});

test('a stop in STANDBY ends it with nothing recorded', async () => {
  const { url } = await countedPage();
  const host = await hostOn(url, { hold: 'standby' });
  await host.phase('STANDBY');
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(host.manifest().map(({ type }) => type)).toEqual(['ended']);
  expect(host.leftovers()).toEqual([]);
});

test('a page that ends its session in STANDBY ends the host', async () => {
  const url = await servePages({
    '/': livePage('<script>setTimeout(() => console.log("END_RECORDING"), 1500)</script>'),
  });
  const host = await hostOn(`${url}/`, { hold: 'standby' });
  await host.phase('STANDBY');
  expect(await host.outcome()).toEqual({ kind: 'session-ended' });
});

test('a pause closes the part, keeps the page, and does not count towards the maximum duration', async () => {
  const { url, loads } = await countedPage();
  const host = await hostOn(url, { maxDurationMs: 5_000 });
  await host.recordedFor(1_000);
  await sendCommand(host.identity, { command: 'pause' });
  const pausedAt = Date.now();
  expect(await host.entry('part-ended', 1)).toMatchObject({ cause: 'PAUSED' });
  await host.phase('PAUSED');
  await sendCommand(host.identity, { command: 'pause' });
  await sleep(3_000);
  await sendCommand(host.identity, { command: 'record' });
  const resumedAt = Date.now();
  const [first, second] = [await host.entry('first-frame', 1), await host.entry('first-frame', 2)];
  expect(second.at - resumedAt).toBeLessThan(2_000);
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });

  const [before, after] = [await decode(host.part(1)), await decode(host.part(2))];
  expect(first.at + before.durationMs).toBeLessThan(second.at - 2_500);
  const recordedWallMs = pausedAt - first.at + (second.at + after.durationMs - resumedAt);
  expect(Math.abs(recordedWallMs - 5_000)).toBeLessThan(500);
  expect(loads()).toBe(1);
  expect(host.leftovers()).toEqual([]);
});

test('a stop while paused ends it, with the part that was recorded', async () => {
  const { url } = await countedPage();
  const host = await hostOn(url);
  await host.recordedFor(500);
  await sendCommand(host.identity, { command: 'pause' });
  await host.phase('PAUSED');
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(host.manifest().filter(({ type }) => type === 'part-ended')).toMatchObject([{ cause: 'PAUSED' }]);
  expect((await decode(host.part(1))).durationMs).toBeGreaterThan(300);
  expect(host.leftovers()).toEqual([]);
});

test('a pause while the browser is being replaced is kept, and a browser that dies in a pause is replaced', async () => {
  const { url, loads } = await countedPage();
  const host = await hostOn(url);
  await host.recordedFor(500);
  for (const pid of host.children('chromium')) process.kill(pid, 'SIGKILL');
  await host.entry('part-ended', 1);
  await sendCommand(host.identity, { command: 'pause' });
  await host.phase('PAUSED');
  await expect.poll(loads, { timeout: 15_000 }).toBe(2);
  for (const pid of host.children('chromium')) process.kill(pid, 'SIGKILL');
  await expect.poll(loads, { timeout: 15_000 }).toBe(3);
  expect(readStatus(host.folder)?.phase).toBe('PAUSED');
  expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
  await sendCommand(host.identity, { command: 'record' });
  await host.entry('first-frame', 2);
  expect(loads()).toBe(3);
});

test('pauses and records that follow one another at once end in the last of them', async () => {
  const { url } = await countedPage();
  const host = await hostOn(url);
  await host.entry('part-started', 1);
  for (const command of ['pause', 'record', 'pause', 'record', 'pause'] as const) {
    await sendCommand(host.identity, { command });
  }
  await host.phase('PAUSED');
  for (const command of ['record', 'pause', 'record'] as const) await sendCommand(host.identity, { command });
  await host.phase('RECORDING');
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  const { durationMs } = host
    .manifest()
    .filter((entry) => entry.type === 'part-ended')
    .at(-1) ?? { durationMs: 0 };
  expect(durationMs).toBeGreaterThan(0);
});

test('a host that takes a paused job up stays paused, and what was left of its time is left still', async () => {
  const { url } = await countedPage();
  const host = await hostOn(url, { hold: 'paused', endsAt: Date.now() + 4_000 });
  await host.phase('PAUSED');
  await sleep(4_000);
  await sendCommand(host.identity, { command: 'record' });
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });
  // Nothing would be, had the pause counted; opening the devices does count, and takes a second on a busy machine.
  expect((await decode(host.part(1))).durationMs).toBeGreaterThan(1_000);
});

/** A live page, and how often it was loaded. */
async function countedPage(): Promise<{ url: string; loads: () => number }> {
  let loads = 0;
  const url = await servePages({
    '/': (_, response) => {
      loads += 1;
      response.writeHead(200, { 'content-type': 'text/html' }).end(livePage());
    },
  });
  return { url: `${url}/`, loads: () => loads };
}
