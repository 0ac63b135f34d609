import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createLocalStorage } from '../../src/storage/local.js';
import { finalizeJob } from '../../worker/finalize/finalize.js';
import { sendCommand } from '../../worker/host/client.js';
import { hostOn, servePages, type TestHost } from '../testkit/host.js';
import { cardInputs } from '../testkit/media-card.js';
import { mediaTools } from '../testkit/media-parts.js';
import { readSound } from '../testkit/media-read.js';
import { colourOf, heardTone } from '../testkit/rtp-people.js';
import { unpackTar } from '../testkit/tar.js';

const patience = { timeout: 40_000 };
// A browser that plays, encodes and is captured: most of a minute where other tests run beside it.
vi.setConfig({ testTimeout: 120_000 });
const size = { width: 320, height: 240 };
const tones = [437, 900, 1_500];
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));
  await Promise.all([film('red', 437), film('blue', 900), sound(1_500)]);
});
afterAll(() => rmSync(folder, { recursive: true }));

async function film(colour: string, tone: number): Promise<void> {
  const inputs = cardInputs(size).map((input) => input.replace('PI*437*', `PI*${tone}*`));
  const box = `drawbox=x=0:y=0:w=320:h=160:color=${colour}:t=fill`;
  const output = '-t 20 -c:v libx264 -preset ultrafast -r 15 -pix_fmt yuv420p -c:a aac -movflags +faststart'.split(' ');
  await promisify(execFile)('ffmpeg', ['-v', 'error', ...inputs, '-vf', box, ...output, join(folder, `${colour}.mp4`)]);
}

async function sound(tone: number): Promise<void> {
  const source = ['-f', 'lavfi', '-i', `sine=${tone}:r=48000`, '-t', '30', '-c:a', 'libmp3lame'];
  await promisify(execFile)('ffmpeg', ['-v', 'error', ...source, join(folder, 'tone.mp3')]);
}

const media = (name: string, type: string) => (_: IncomingMessage, response: ServerResponse) => {
  const bytes = readFileSync(join(folder, name));
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
};

const files = () => ({
  '/red.mp4': media('red.mp4', 'video/mp4'),
  '/blue.mp4': media('blue.mp4', 'video/mp4'),
  '/tone.mp3': media('tone.mp3', 'audio/mpeg'),
});

const ends = (host: TestHost) => host.manifest().filter((entry) => entry.type === 'track-ended');
const begun = (host: TestHost) => host.manifest().filter((entry) => entry.type === 'track-first-media');

test('each media element of a page has a file of its own, later ones too, and what is not handed out is named', async () => {
  const strange = await servePages(files());
  const url = await servePages({
    ...files(),
    '/': `<!doctype html><body>
      <video id="left" aria-label="Anna / left" src="/red.mp4" autoplay loop width="300"></video>
      <video id="foreign" src="${strange}/blue.mp4" autoplay loop width="50"></video>
      <script>
        setTimeout(() => document.body.insertAdjacentHTML('beforeend',
          '<video src="/blue.mp4" autoplay loop width="300"></video><audio id="sound" src="/tone.mp3" autoplay loop></audio>'), 10000);
      </script>`,
  });
  const host = await hostOn(`${url}/`, { individual: true, maxDurationMs: 120_000 });
  await expect.poll(() => begun(host).length, patience).toBe(3);
  await host.recordedFor(4_000);
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(host.leftovers()).toEqual([]);
  expect(ends(host).map(({ cause }) => cause)).toEqual(['STOPPED', 'STOPPED', 'STOPPED']);

  const jobFolder = dirname(host.folder);
  const storage = join(jobFolder, 'storage');
  const made = await finalizeJob({
    ...{ jobFolder, jobId: 'job-1', name: 'Page', tools: mediaTools, storage: createLocalStorage(storage) },
  });
  const tar = made.files.find(({ kind }) => kind === 'TAR');
  const { manifest, path } = await unpackTar(join(storage, tar?.storageKey as string), join(jobFolder, 'unpacked'));
  expect(manifest.notRecorded).toMatchObject([{ identity: 'foreign', reason: expect.stringContaining('CORS') }]);
  const found = new Map(manifest.participants.map(({ identity, files: [file] }) => [identity, file]));
  expect([...found.keys()].sort()).toEqual(['left', 'sound', 'video-3']);
  expect(found.get('left')?.file).toMatch(/^Anna-left-left-1\./);
  const expected = { left: 437, 'video-3': 900, sound: 1_500 };
  for (const [identity, tone] of Object.entries(expected)) {
    expect(heardTone(await readSound(path(found.get(identity)?.file as string)), tones)).toBe(tone);
  }
  const left = path(found.get('left')?.file as string);
  expect(await colourOf(left)).toBe('red');
  expect(await colourOf(path(found.get('video-3')?.file as string))).toBe('blue');
  expect((found.get('sound')?.offsetMs ?? 0) - (found.get('left')?.offsetMs ?? 0)).toBeGreaterThan(1_000);
});

test('a pause ends the files of elements, a killed browser too, and both begin anew', async () => {
  const url = await servePages({
    ...files(),
    '/': '<!doctype html><video id="one" src="/red.mp4" autoplay loop></video>',
  });
  const host = await hostOn(`${url}/`, { individual: true, maxDurationMs: 120_000 });
  await expect.poll(() => begun(host).length, patience).toBe(1);
  await host.recordedFor(1_500);
  await sendCommand(host.identity, { command: 'pause' });
  await host.phase('PAUSED');
  await expect.poll(() => ends(host).map(({ cause }) => cause), patience).toEqual(['PAUSED']);
  await sendCommand(host.identity, { command: 'record' });
  await expect.poll(() => begun(host).length, patience).toBe(2);
  await host.recordedFor(1_500);
  for (const pid of host.browserProcesses('renderer')) process.kill(pid, 'SIGKILL');
  await expect.poll(() => begun(host).length, patience).toBe(3);
  await host.recordedFor(1_500);
  await sendCommand(host.identity, { command: 'stop' });
  expect(await host.outcome()).toEqual({ kind: 'stopped' });
  expect(ends(host).map(({ cause }) => cause)).toEqual(['PAUSED', 'WRITER_DIED', 'STOPPED']);
});
