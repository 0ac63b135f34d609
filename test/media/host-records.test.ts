import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hostFiles } from '../../src/jobs/capture.js';
import { readStatus } from '../../worker/host/client.js';
import { decode, hostOn, livePage, servePages } from '../testkit/host.js';

test('records a page for exactly as long as it was told, with picture and sound in the size asked for', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`, { width: 854, height: 480, fps: 30, maxDurationMs: 5_000 });
  expect(await host.outcome()).toEqual({ kind: 'max-duration' });

  const media = await decode(host.part(1));
  expect(media.video).toMatchObject({ codec_name: 'h264', width: 854, height: 480, avg_frame_rate: '30/1' });
  expect(media.audio).toMatchObject({ codec_name: 'aac', sample_rate: '48000', channels: 2 });
  expect(media.durationMs).toBeGreaterThan(4_850);
  expect(media.durationMs).toBeLessThan(5_150);
  expect(media.frames).toBeGreaterThanOrEqual(149);

  expect(host.manifest().map(({ type }) => type)).toEqual(['part-started', 'first-frame', 'part-ended', 'ended']);
  const status = readStatus(host.folder);
  expect(status).toMatchObject({ phase: 'ENDED', refused: [] });
  expect(status?.stats.frames).toBe(media.frames);
  expect(status?.stats.pageFrames).toBeGreaterThan(60);
  expect(host.leftovers()).toEqual([]);
});

test('says which wall clock time the media begins at', async () => {
  // The page shows the wall clock as 32 black or white stripes, the highest bit on the left.
  const clock = `<!doctype html><body style="margin:0"><canvas id="c" width="640" height="360"></canvas><script>
    const context = document.getElementById('c').getContext('2d');
    (function draw() {
      const now = Date.now() % 2 ** 32;
      for (let bit = 0; bit < 32; bit += 1) {
        context.fillStyle = Math.floor(now / 2 ** (31 - bit)) % 2 ? '#fff' : '#000';
        context.fillRect(bit * 20, 0, 20, 360);
      }
      requestAnimationFrame(draw);
    })();
  </script>`;
  const url = await servePages({ '/': clock });
  const host = await hostOn(`${url}/`, { fps: 30, maxDurationMs: 3_000 });
  const { at } = await host.entry('first-frame', 1);
  await host.outcome();
  const pixels = await grayFrame(host.part(1), 2);
  let shown = 0;
  for (let bit = 0; bit < 32; bit += 1) shown = shown * 2 + ((pixels[180 * 640 + bit * 20 + 10] ?? 0) > 128 ? 1 : 0);
  // Drawing and grabbing take a frame or two of 33 ms; a machine with other work to do, some more.
  expect(Math.abs(shown - ((at + 2_000) % 2 ** 32))).toBeLessThan(400);
});

test('keeps what strangers get to see of the machine to what they need', async () => {
  const url = await servePages({ '/': livePage() });
  const host = await hostOn(`${url}/`);
  await host.entry('first-frame', 1);
  const [browser] = host.children('chromium');
  const status = readFileSync(`/proc/${browser}/status`, 'utf8');
  if (process.getuid?.() === 0) expect(status).not.toMatch(/^[UG]id:\s+0\b/m);
  const environment = readFileSync(`/proc/${browser}/environ`, 'latin1');
  expect(environment).not.toMatch(/DATABASE_URL|TEMPORAL|DATA_DIR/);
  expect(readFileSync(join(host.folder, hostFiles.log), 'utf8')).toContain('part 1 records since');
});

async function grayFrame(file: string, second: number): Promise<Buffer> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    execFile(
      'ffmpeg',
      ['-v', 'error', '-ss', `${second}`, '-i', file, '-frames:v', '1', '-f', 'rawvideo', '-pix_fmt', 'gray', '-'],
      { encoding: 'buffer', maxBuffer: 10_000_000 },
      (error, stdout) => (error ? reject(error) : resolve(stdout)),
    );
  });
}
