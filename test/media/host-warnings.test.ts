import { expect, test } from 'vitest';
import { readStatus } from '../../worker/host/client.js';
import { hostOn, livePage, servePages } from '../testkit/host.js';

test('a black picture and silence are told after 10 s, and taken back when there is something again', async () => {
  let isLively = false;
  const url = await servePages({
    '/': `<!doctype html><body style="margin: 0; background: #000"><script>
      const wait = setInterval(async () => {
        if (!(await (await fetch('/lively')).json())) return;
        clearInterval(wait);
        document.body.style.background = '#246';
        const audio = new AudioContext(), tone = audio.createOscillator();
        tone.connect(audio.destination); tone.start();
      }, 200);
    </script>`,
    '/lively': (_, response) => response.end(JSON.stringify(isLively)),
  });
  const host = await hostOn(`${url}/`);
  const { at } = await host.entry('first-frame', 1);
  await Promise.all([host.warning('BLACK_PICTURE', true), host.warning('SILENT_SOUND', true)]);
  expect(Date.now() - at).toBeGreaterThan(9_000);
  const [warning] = readStatus(host.folder)?.warnings.filter(({ code }) => code === 'BLACK_PICTURE') ?? [];
  expect(warning).toMatchObject({ message: 'The picture is black. 100 % of it have been black for 10 s.' });
  expect(warning?.since).toBeLessThan(at + 6_000);
  isLively = true;
  await Promise.all([host.warning('BLACK_PICTURE', false), host.warning('SILENT_SOUND', false)]);
  expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
});

test('a page that does not draw for 5 s is told of, until it draws again', async () => {
  // A browser is replaced after 15 s; this page comes back before.
  const hang = `<script>
    setTimeout(() => { const until = Date.now() + 8000; while (Date.now() < until); }, 2000);
  </script>`;
  const url = await servePages({ '/': livePage(hang) });
  const host = await hostOn(`${url}/`);
  await host.warning('FROZEN_PAGE', true);
  expect(readStatus(host.folder)?.warnings[0]?.message).toMatch(/It has drawn nothing for [5-8] s\./);
  await host.warning('FROZEN_PAGE', false);
  expect(readStatus(host.folder)?.phase).toBe('RECORDING');
  expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
});

test('what observes picture and sound may die or hang: the recording does not notice, and nothing is left of it', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, { maxDurationMs: 9_000 });
  await host.recordedFor(1_000);
  const observers = () => host.children('ffmpeg').filter((pid) => pid !== host.encoder());
  const [first] = observers();
  process.kill(first as number, 'SIGKILL');
  await expect.poll(() => observers().filter((pid) => pid !== first).length, { timeout: 8_000 }).toBe(1);
  for (const pid of observers()) process.kill(pid, 'SIGSTOP');
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });
  expect(host.manifest().filter(({ type }) => type === 'part-started')).toHaveLength(1);
  expect(host.leftovers()).toEqual([]);
});
