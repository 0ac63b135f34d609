/** A page as a task: recorded as it is seen and heard, with the settings that were given. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { probe } from '../../worker/ffmpeg/probe.js';
import { livePage, servePages } from '../testkit/host.js';
import { colourOf } from '../testkit/rtp-people.js';
import { createTaskKit, type TaskKit } from '../testkit/tasks.js';

const folder = mkdtempSync(join(tmpdir(), 'tapedeck-tasks-'));
let kit: TaskKit;
beforeAll(() => {
  kit = createTaskKit(inject('stack'));
});
afterAll(async () => {
  await kit.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Lime where it can draw with WebGL, else blue. */
const webGlPage =
  livePage(`<style>canvas { position: fixed; inset: 0; width: 100vw; height: 100vh; background: blue }</style>
<script>addEventListener('load', () => {
  const canvas = document.body.appendChild(document.createElement('canvas'));
  const gl = canvas.getContext('webgl');
  if (!gl) return;
  (function draw() { gl.clearColor(0, 1, 0, 1); gl.clear(gl.COLOR_BUFFER_BIT); requestAnimationFrame(draw); })();
});</script>`);

test('a page is recorded with the size, rate and sound that were given, to the file that was named', async () => {
  const url = await servePages({ '/': livePage() });
  const video = { width: 480, height: 360, frameRate: 15, bitrate: 500_000 };
  const audio = { sampleRate: 44_100, channels: 1, bitrate: 64_000 };
  const task = await kit.start({
    ...{ layout: 'FREESTYLE', url: `${url}/`, format: 'MP4', video, audio, maxDuration: 6 },
    filenamePattern: 'page {date} {region}',
  });
  const { reason, files, payload } = await task.until('STOPPED');
  expect(reason).toBe('COMPLETED');
  expect(payload.files).toEqual([expect.stringMatching(/^page \d{4}-\d{2}-\d{2} local\.mp4$/)]);
  const file = files.nodes.find(({ kind }) => kind === 'VIDEO');
  const facts = await probe(await task.download(file as never, folder), { ffprobe: 'ffprobe' });
  expect(facts.video).toMatchObject({ codec: 'h264', width: 480, height: 360, fps: expect.closeTo(15, 1) });
  expect(facts.audio).toMatchObject({ codec: 'aac', sampleRate: 44_100, channels: 1 });
  expect(facts.durationMs).toBeGreaterThan(5_500);
}, 90_000);

test.each([true, false])(
  'a page draws with WebGL if that was asked for: %s',
  async (webGL) => {
    const url = await servePages({ '/': webGlPage });
    const video = { width: 320, height: 240 };
    const task = await kit.start({
      ...{ layout: 'FREESTYLE', url: `${url}/`, format: 'MP4', filenamePattern: `webgl ${webGL}` },
      ...{ video, webGL, maxDuration: 4 },
    });
    const { files } = await task.until('STOPPED');
    const file = files.nodes.find(({ kind }) => kind === 'VIDEO');
    expect(await colourOf(await task.download(file as never, folder))).toBe(webGL ? 'lime' : 'blue');
  },
  90_000,
);
