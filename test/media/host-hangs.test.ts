import { expect, test } from 'vitest';
import { sendCommand } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

// SIGTERM does nothing to a process that was stopped by SIGSTOP: it is the worst of hangs.
test.each([
  { what: 'the encoder', program: 'ffmpeg', cause: 'ENCODER_STALLED', withinMs: 6_000 },
  { what: 'the display', program: 'Xvfb', cause: 'DISPLAY_HUNG', withinMs: 12_000 },
  { what: 'the sound server', program: 'pulseaudio', cause: 'SOUND_HUNG', withinMs: 12_000 },
  { what: 'the browser', program: 'chromium', cause: 'BROWSER_HUNG', withinMs: 24_000 },
])(
  'when $what hangs it is replaced, and the recording goes on as the next part',
  async ({ program, cause, withinMs }) => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`);
    await host.recordedFor(500);
    const stoppedAt = Date.now();
    for (const pid of host.children(program)) process.kill(pid, 'SIGSTOP');
    const next = await host.entry('first-frame', 2);
    expect(next.at - stoppedAt).toBeLessThan(withinMs);
    expect(await host.entry('part-ended', 1)).toMatchObject({ cause });
    // The manifest is written first, and fsynced; the status follows.
    await host.phase('RECORDING');
    await host.recordedFor(500);
    await sendCommand(host.identity, { command: 'stop' });
    expect(await host.outcome()).toEqual({ kind: 'stopped' });
    await decode(host.part(1), { cutOff: true });
    await decode(host.part(2));
    expect(host.leftovers()).toEqual([]);
  },
);

test.each(['ffmpeg', 'Xvfb', 'pulseaudio', 'chromium'])(
  'a %s that has just hung does not hold up a stop',
  async (program) => {
    const url = await servePages({ '/': livePage() });
    const host = await hostOn(`${url}/`);
    await host.recordedFor(1_000);
    for (const pid of host.children(program)) process.kill(pid, 'SIGSTOP');
    const askedAt = Date.now();
    await sendCommand(host.identity, { command: 'stop' });
    expect(await host.outcome()).toEqual({ kind: 'stopped' });
    expect(Date.now() - askedAt).toBeLessThan(6_000);
    await decode(host.part(1), { cutOff: true });
    expect(host.leftovers()).toEqual([]);
  },
);
