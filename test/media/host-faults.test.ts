import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { clearAfterHost, findHost, readStatus, sendCommand } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

describe('a recording goes on by itself, as the next part,', () => {
  test.each([
    { what: 'the encoder is killed', program: 'ffmpeg', cause: 'ENCODER_DIED', withinMs: 2_000 },
    { what: 'the browser is killed', program: 'chromium', cause: 'BROWSER_DIED', withinMs: 15_000 },
    { what: 'the display is killed', program: 'Xvfb', cause: 'DISPLAY_DIED', withinMs: 15_000 },
    { what: 'the sound server is killed', program: 'pulseaudio', cause: 'SOUND_DIED', withinMs: 15_000 },
  ])('when $what', async ({ program, cause, withinMs }) => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`);
    await host.recordedFor(2_000);
    const killedAt = Date.now();
    for (const pid of host.children(program)) process.kill(pid, 'SIGKILL');
    const next = await host.entry('first-frame', 2);
    expect(next.at - killedAt).toBeLessThan(withinMs);
    await host.recordedFor(1_500);
    await sendCommand(host.identity, { command: 'stop' });
    expect(await host.outcome()).toEqual({ kind: 'stopped' });

    expect(await host.entry('part-ended', 1)).toMatchObject({ cause });
    expect(await host.entry('part-ended', 2)).toMatchObject({ cause: 'STOPPED' });
    const [first, second] = [await decode(host.part(1), { cutOff: true }), await decode(host.part(2))];
    expect(first.durationMs).toBeGreaterThan(1_000);
    expect(second.durationMs).toBeGreaterThan(1_000);
    expect(host.leftovers()).toEqual([]);
  });

  test('when the page crashes', async () => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`);
    await host.recordedFor(1_000);
    for (const pid of host.browserProcesses('renderer')) process.kill(pid, 'SIGKILL');
    await host.entry('first-frame', 2);
    expect(await host.entry('part-ended', 1)).toMatchObject({ cause: 'BROWSER_DIED' });
  });

  test('when the encoder hangs', async () => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`);
    await host.recordedFor(1_000);
    for (const pid of host.children('ffmpeg')) process.kill(pid, 'SIGSTOP');
    await host.entry('first-frame', 2);
    expect(await host.entry('part-ended', 1)).toMatchObject({ cause: 'ENCODER_STALLED' });
    // The manifest is written first, and fsynced; the status follows.
    await expect.poll(() => readStatus(host.folder)?.phase).toBe('RECORDING');
  });
});

test('gives up as PAGE_CRASHED when the page crashes again and again, and keeps what was recorded', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  for (let part = 1; findHost(host.folder); part++) {
    const recorded = await host.entry('first-frame', part).catch(() => null);
    if (!recorded) break;
    for (const pid of host.browserProcesses('renderer')) process.kill(pid, 'SIGKILL');
  }
  expect(await host.outcome()).toMatchObject({ kind: 'failed', failure: { reason: 'PAGE_CRASHED' } });
  expect(host.manifest().filter(({ type }) => type === 'part-ended').length).toBeGreaterThanOrEqual(5);
  expect(host.leftovers()).toEqual([]);
}, 120_000);

test('gives up with the encoder’s own words when five restarts within a minute did not help', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  const killed = new Set<number>();
  while (findHost(host.folder)) {
    for (const pid of host.children('ffmpeg').filter((pid) => !killed.has(pid))) {
      killed.add(pid);
      await sleep(100);
      process.kill(pid, 'SIGKILL');
    }
    await sleep(20);
  }
  expect(killed.size).toBe(6);
  expect(await host.outcome()).toMatchObject({
    kind: 'failed',
    failure: { reason: 'CAPTURE_FAILED', message: expect.stringContaining('5 restarts') },
  });
  expect(host.leftovers()).toEqual([]);
});

test('a killed host takes everything it started with it, and its part can be read', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await host.recordedFor(2_000);
  host.children('chromium');
  process.kill(host.identity.pid, 'SIGKILL');
  await sleep(1_000);
  await clearAfterHost(host.folder);
  expect(host.leftovers()).toEqual([]);
  expect(findHost(host.folder)).toBeNull();
  expect((await decode(host.part(1), { cutOff: true })).durationMs).toBeGreaterThan(1_000);
});

test.runIf(canMount())('says that the disk is full, and keeps the manifest whole', async () => {
  const disk = mkdtempSync(join(tmpdir(), 'tapedeck-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tapedeck-test', disk]);
  onTestFinished(() => {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  });
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, { within: disk });
  await host.recordedFor(500);
  expect(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(24 * 1_048_576))).toThrow(/ENOSPC/);
  expect(await host.outcome()).toMatchObject({
    kind: 'failed',
    failure: {
      reason: 'CAPTURE_FAILED',
      message: expect.stringMatching(/The disk that holds .* is full\. Free some space/),
    },
  });
  expect(await host.entry('part-ended', 1)).toMatchObject({ cause: 'ENCODER_DIED' });
  expect(host.leftovers()).toEqual([]);
});

function canMount(): boolean {
  return spawnSync('unshare', ['--mount', 'true']).status === 0;
}
