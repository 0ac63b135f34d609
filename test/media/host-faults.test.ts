import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { clearAfterHost, findHost, sendCommand } from '../../worker/host/client.js';
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
    // Another ffmpeg observes, and comes and goes.
    const pids = program === 'ffmpeg' ? [host.encoder()] : host.children(program);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
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
