import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { readStatus, renewLease, sendCommand, startHost } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

test('stops on command with a whole part', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await host.recordedFor(1_500);
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  const ended = await host.entry('part-ended', 1);
  const media = await decode(host.part(1));
  expect(Math.abs(media.durationMs - ended.durationMs)).toBeLessThan(150);
  expect(host.leftovers()).toEqual([]);
});

test('stops at once while the page is still loading', async () => {
  const url = await servePages({ '/': () => {} });
  const host = await hostOn(`${url}/`);
  while (host.children('chromium').length === 0) await sleep(20);
  const askedAt = Date.now();
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(Date.now() - askedAt).toBeLessThan(5_000);
  expect(host.leftovers()).toEqual([]);
});

test('a terminal’s Ctrl-C does not reach it, SIGTERM suspends it with a whole part', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await host.recordedFor(500);
  process.kill(host.identity.pid, 'SIGINT');
  process.kill(host.identity.pid, 'SIGHUP');
  await host.recordedFor(1_000);
  expect(readStatus(host.folder)?.phase).toBe('RECORDING');
  process.kill(host.identity.pid, 'SIGTERM');
  expect(await host.outcome()).toEqual({ kind: 'suspended' });
  expect(await host.entry('part-ended', 1)).toMatchObject({ cause: 'SUSPENDED' });
  await decode(host.part(1));
  expect(host.leftovers()).toEqual([]);
});

test('records on while its lease is renewed, and ends by itself when nobody renews it', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, { leaseTimeoutMs: 3_000 });
  const renewing = setInterval(
    () => renewLease(host.folder, { taskToken: '', attempt: 2, renewedAt: Date.now() }),
    500,
  );
  await host.recordedFor(4_000);
  clearInterval(renewing);
  expect(await host.outcome()).toEqual({ kind: 'lease-expired' });
  await decode(host.part(1));
  expect(host.leftovers()).toEqual([]);
});

test('refuses a command it does not know, and goes on', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await expect(sendCommand(host.identity, { command: 'explode' } as never)).rejects.toThrow(
    /Expected one of: stop, suspend/,
  );
  await host.entry('first-frame', 1);
});

test('a maximum duration counts the gap after a fault', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, { maxDurationMs: 6_000 });
  await host.recordedFor(2_000);
  for (const pid of host.children('ffmpeg')) process.kill(pid, 'SIGKILL');
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });
  const [first, second] = [await host.entry('first-frame', 1), await host.entry('first-frame', 2)];
  const wholeMs = second.at - first.at + (await decode(host.part(2))).durationMs;
  expect(Math.abs(wholeMs - 6_000)).toBeLessThan(500);
});

test('says why a host could not be started', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  vi.stubEnv('TMPDIR', '/dev/null/nowhere');
  onTestFinished(() => void vi.unstubAllEnvs());
  await expect(startHost(folder, {} as never, {} as never)).rejects.toThrow(
    /ended with status 1 before it was ready. See .*host.log/,
  );
});
