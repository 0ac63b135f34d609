import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { hostFiles } from '../../src/jobs/capture.js';
import { sendCommand } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

const startsOnSignal = '<meta name="tapedeck-start" content="signal">';

test('a page that asks for it is recorded from START_RECORDING to END_RECORDING', async () => {
  let startedAt = 0;
  const script = `<script>
    setTimeout(() => { fetch('/started'); console.log('START_RECORDING') }, 2000);
    setTimeout(() => console.log('END_RECORDING'), 5000);
  </script>`;
  const url = await servePages({
    '/': livePage(startsOnSignal + script),
    '/started': (_, response) => {
      startedAt = Date.now();
      response.end();
    },
  });
  const host = await hostOn(`${url}/`);
  expect((await host.entry('first-frame', 1)).at).toBeGreaterThanOrEqual(startedAt - 100);
  expect(startedAt).toBeGreaterThan(0);
  expect(await host.outcome()).toEqual({ kind: 'session-ended' });
  expect((await decode(host.part(1))).durationMs).toBeGreaterThan(1_000);
  expect(host.leftovers()).toEqual([]);
});

test('START_RECORDING begins at once, though the page is still loading', async () => {
  const url = await servePages({
    '/': livePage('<script>console.log("START_RECORDING")</script><img src="/never.png">'),
    '/never.png': () => {},
  });
  const host = await hostOn(`${url}/`);
  const { at } = await host.entry('first-frame', 1);
  expect(at - (await host.entry('part-started', 1)).at).toBeLessThan(5_000);
});

test('a page whose images never arrive is recorded all the same', async () => {
  const url = await servePages({ '/': livePage('<img src="/never.png">'), '/never.png': () => {} });
  const host = await hostOn(`${url}/`, { loadTimeoutMs: 6_000 });
  await host.entry('first-frame', 1);
});

test('a frame of another page cannot end the recording', async () => {
  const url = await servePages({
    '/': livePage('<iframe src="/frame"></iframe>'),
    '/frame': '<script>setInterval(() => console.log("END_RECORDING"), 100)</script>',
  });
  const host = await hostOn(`${url}/`, { maxDurationMs: 2_000 });
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });
});

test('questions, popups and prompts do not hold a recording up', async () => {
  const script = `<script>
    alert('hello'); confirm('sure?'); prompt('name?');
    addEventListener('beforeunload', (event) => event.preventDefault());
    open('/popup'); Notification.requestPermission(); navigator.geolocation.getCurrentPosition(() => {});
    navigator.mediaDevices?.getUserMedia({ audio: true }).then(() => console.log('GOT MICROPHONE'), (e) => console.log('no microphone', e.name));
  </script>`;
  const url = await servePages({ '/': livePage(script), '/popup': '<title>popup</title>' });
  const host = await hostOn(`${url}/`);
  await host.recordedFor(1_000);
  await sleep(500);
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  const console = readFileSync(join(host.folder, hostFiles.console), 'utf8');
  expect(console).toMatch(/dialog.alert: hello[\s\S]*dialog.confirm: sure\?[\s\S]*dialog.prompt: name\?/);
  expect(console).not.toContain('GOT MICROPHONE');
});
