/** Gaps become black and silence, so that a file is as long as its recording took, and every player plays it through. */
import { createReadStream, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { launch } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { OutputFormat } from '../../src/recordings/config.js';
import { formats } from '../../src/recordings/formats.js';
import { findProgram } from '../../worker/capture/child.js';
import { probe } from '../../worker/ffmpeg/probe.js';
import { joinParts } from '../../worker/parts/join.js';
import { audioEncodings, videoEncodings } from '../testkit/encodings.js';
import { cardGeometry, cells, decodeStrip, type Size } from '../testkit/media-card.js';
import {
  decodingProblems,
  mediaTools,
  type PartEncoding,
  smallCard,
  temporaryFolder,
  writeEncodedPart,
} from '../testkit/media-parts.js';
import { readFrames, readOffsets, readSound } from '../testkit/media-read.js';

const startedAt = Date.UTC(2026, 0, 31);
const frameMs = 1000 / 30;
let root: string;
let count = 0;
beforeAll(async () => {
  root = await temporaryFolder();
});
afterAll(() => rm(root, { recursive: true, force: true }));

interface Placed extends Partial<PartEncoding> {
  /** Since the recording began, by the clock. */
  atMs: number;
}

async function join2(parts: readonly Placed[], format: OutputFormat = 'MP4', workFolder = root) {
  const id = ++count;
  const files: string[] = [];
  for (const [index, { atMs: _, ...encoding }] of parts.entries()) {
    const file = join(root, `${id}-${index}.mkv`);
    await writeEncodedPart(file, { seconds: 2, firstNumber: index * 200, ...encoding });
    files.push(file);
  }
  const result = await joinParts({
    parts: files.map((file, index) => ({ file, incarnation: 1, zeroAt: startedAt + (parts[index] as Placed).atMs })),
    output: (index, made) => join(root, `${id}-joined-${index}.${formats[made].ending}`),
    ...{ workFolder, tools: mediaTools, format, fillGaps: true },
  });
  const [deliverable] = result.deliverables;
  if (!deliverable) throw new Error('nothing was joined');
  return { ...result, deliverable, file: deliverable.file };
}

const h264 = (...options: string[]) => ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '30', ...options];

describe('a gap of three seconds', () => {
  const cases: [string, Partial<PartEncoding>, Size?][] = [
    ['of what recorders encode', {}],
    ['of a baseline stream', { video: h264('-profile:v', 'baseline', '-pix_fmt', 'yuv420p') }],
    [
      'of a main stream with pictures that refer to later ones',
      { video: h264('-bf', '3', '-profile:v', 'main', '-pix_fmt', 'yuv420p') },
    ],
    [
      'of pictures of an odd number of blocks',
      { video: h264('-bf', '2', '-pix_fmt', 'yuv420p') },
      { width: 426, height: 234 },
    ],
    ['of 4:4:4 pictures', { video: h264('-pix_fmt', 'yuv444p') }],
    ['of full-range pictures', { video: h264('-pix_fmt', 'yuvj420p') }],
    ['of sound at 44.1 kHz', { audio: ['-c:a', 'aac', '-ar', '44100'] }],
    ['of a browser', { video: videoEncodings.vp8, audio: audioEncodings.opus }],
    ['of pictures alone', { audio: null }],
  ];
  test.each(cases)('%s is as long in the file, and all is decoded', async (_, encoding, size = smallCard) => {
    const browser = encoding.audio === audioEncodings.opus;
    const parts = [
      { ...encoding, size, atMs: 0 },
      { ...encoding, size, atMs: 5_000 },
    ];
    const { file, deliverable, recordedMs } = await join2(parts, browser ? 'MKV' : 'MP4');
    expect(deliverable.problem).toBeUndefined();
    expect(Math.abs(recordedMs - 4_000)).toBeLessThanOrEqual(2);
    expect(await decodingProblems(file)).toBe('');
    const frames = await readFrames(file, size);
    const span = (frames.at(-1)?.ptsMs ?? 0) + frameMs - (frames[0]?.ptsMs ?? 0);
    expect(Math.abs(span - 7_000)).toBeLessThan(frameMs + 1);
    expect(frames.slice(0, 60).map(({ number }) => number)).toEqual(Array.from({ length: 60 }, (_, index) => index));
    expect(frames.slice(-60).map(({ number }) => number)).toEqual(
      Array.from({ length: 60 }, (_, index) => 200 + index),
    );
    // Black, and never longer without a picture than any other time.
    expect(frames.slice(60, -60).every(({ number }) => number === null)).toBe(true);
    const steps = frames.slice(1).map(({ ptsMs }, index) => ptsMs - (frames[index]?.ptsMs ?? 0));
    expect(Math.max(...steps)).toBeLessThan(1.6 * frameMs);
    if (encoding.audio === null) return;
    const sound = await readSound(file);
    const offsets = readOffsets(frames, sound).map(({ offsetMs }) => Math.abs(offsetMs));
    expect(Math.max(...offsets)).toBeLessThan(encoding.audio ? 25 : 12);
    const holes = sound.blocks.slice(1).map(({ ptsMs }, index) => {
      const before = sound.blocks[index] as (typeof sound.blocks)[number];
      return ptsMs - before.ptsMs - (before.samples * 1000) / sound.sampleRate;
    });
    expect(Math.max(...holes)).toBeLessThan(30);
  });
});

test.each<OutputFormat>(['MKV', 'MPEGTS', 'FLV', 'AVI', 'M3U8'])(
  'a filled gap is decoded in %s too',
  async (format) => {
    const { file } = await join2([{ atMs: 0 }, { atMs: 4_000 }], format);
    // AVI counts sound in whole blocks: one that is left out where parts meet is an empty one.
    const seam = format === 'AVI' ? 'Error while decoding stream #0:1: Invalid argument' : '';
    expect(['', seam]).toContain(await decodingProblems(file));
    const numbers = (await readFrames(file, smallCard)).map(({ number }) => number);
    expect(numbers.filter((number) => number !== null)).toHaveLength(120);
    expect(numbers).toHaveLength(180);
  },
);

test('sound alone is filled with silence', async () => {
  const { file } = await join2([
    { video: null, atMs: 0 },
    { video: null, atMs: 6_000 },
  ]);
  expect(Math.abs((await probe(file, mediaTools)).durationMs - 8_000)).toBeLessThan(40);
});

test('a gap of a night takes seconds to fill, since black is black', async () => {
  const night = 8 * 3_600_000;
  const began = performance.now();
  const { file, deliverable } = await join2([{ atMs: 0 }, { atMs: night }]);
  expect(performance.now() - began).toBeLessThan(60_000);
  expect(Math.abs(deliverable.durationMs - night - 2_000)).toBeLessThan(2);
  expect(Math.abs((await probe(file, mediaTools)).durationMs - night - 2_000)).toBeLessThan(40);
}, 120_000);

test('what cannot be filled is cut out, with the reason', async () => {
  const part = { video: videoEncodings.mpeg2video, audio: null };
  const { deliverable } = await join2(
    [
      { ...part, atMs: 0 },
      { ...part, atMs: 5_000 },
    ],
    'MPEGTS',
  );
  expect(deliverable.problem).toContain('mpeg2video');
  expect(Math.abs(deliverable.durationMs - 4_000)).toBeLessThan(5);
});

test('a browser plays it from beginning to end, and finds every place in it', async () => {
  const foreign = h264('-bf', '3', '-profile:v', 'main', '-pix_fmt', 'yuv420p');
  const size = { width: 426, height: 234 };
  const { file } = await join2([
    { video: foreign, size, atMs: 0 },
    { video: foreign, size, atMs: 4_000 },
  ]);
  const shown = await shownInBrowser(file, size, [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 3.1, 0.2, 5.1]);
  expect(shown.error).toBeNull();
  expect(Math.abs(shown.duration - 6)).toBeLessThan(0.04);
  expect(shown.numbers).toEqual([15, 45, null, null, 215, 245, null, 6, 233]);
});

/** The number that a browser shows at each of these seconds; null where it shows none. */
async function shownInBrowser(file: string, size: Size, seconds: readonly number[]) {
  const url = await serve(file);
  const browser = await launch({ executablePath: findProgram('chromium'), args: ['--no-sandbox'] });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const card = cardGeometry(size);
  const { error, duration, lights } = await page.evaluate(
    async ({ address, at, strip, count }) => {
      const video = document.createElement('video');
      video.crossOrigin = 'anonymous';
      video.muted = true;
      video.src = address;
      const once = (name: string) => new Promise((resolve) => video.addEventListener(name, resolve, { once: true }));
      await Promise.race([once('loadeddata'), once('error')]);
      const canvas = document.createElement('canvas');
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      const found: boolean[][] = [];
      for (const time of at) {
        // In the middle of a picture.
        video.currentTime = time + 0.01;
        await Promise.race([once('seeked'), once('error')]);
        await new Promise((resolve) => setTimeout(resolve, 100));
        context.drawImage(video, 0, 0);
        const y = strip.top + Math.floor(strip.height / 2);
        found.push(
          Array.from({ length: count }, (_, cell) => {
            const x = Math.floor((cell + 0.5) * strip.cellWidth);
            return (context.getImageData(x, y, 1, 1).data[0] as number) > 127;
          }),
        );
      }
      return { error: video.error?.message ?? null, duration: video.duration, lights: found };
    },
    {
      address: url,
      at: [...seconds],
      strip: { top: card.stripTop, height: card.stripHeight, cellWidth: card.cellWidth },
      count: cells,
    },
  );
  return { error, duration, numbers: lights.map(decodeStrip) };
}

/** With byte ranges, to pages of any site. */
async function serve(file: string): Promise<string> {
  const { size } = statSync(file);
  const server = createServer((request, response) => {
    const [, from = '0', to] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
    const end = to ? Number(to) : size - 1;
    response.writeHead(206, {
      ...{ 'Access-Control-Allow-Origin': '*', 'Accept-Ranges': 'bytes', 'Content-Type': 'video/mp4' },
      ...{ 'Content-Range': `bytes ${from}-${end}/${size}`, 'Content-Length': end - Number(from) + 1 },
    });
    createReadStream(file, { start: Number(from), end }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/film.mp4`;
}
