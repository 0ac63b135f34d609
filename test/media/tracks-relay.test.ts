import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { trackFile } from '../../src/jobs/capture.js';
import type { ForwardWish } from '../../src/media/media-server.js';
import { pidsNaming } from '../../worker/capture/scratch.js';
import { createWarningBoard } from '../../worker/host/warning-board.js';
import { type ManifestWriter, openManifest, readManifest } from '../../worker/parts/manifest.js';
import { createTrackClock } from '../../worker/tracks/clock.js';
import { createTrackLedger } from '../../worker/tracks/ledger.js';
import { type PublicationRecording, recordPublication } from '../../worker/tracks/publication.js';
import { beginsKeyFrame } from '../../worker/tracks/rtp.js';
import { createSequence } from '../../worker/tracks/sequence.js';
import { expectTogether } from '../testkit/media.js';
import { cardHz, cardInputs } from '../testkit/media-card.js';
import { readBeepsAndFlashes, readFrames, readSound } from '../testkit/media-read.js';

const patience = { timeout: 40_000 };
const cardFrames = 10 * cardHz;
const size = { width: 320, height: 240 };

let sources: string;
/** Ten seconds of the test card as a browser would publish it, which are sent over and over: its numbers begin again. */
let card: string;
let folder: string;
let manifest: ManifestWriter;
let sender: ChildProcess;
let between: Socket[];
let recording: PublicationRecording;

beforeAll(async () => {
  sources = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));
  card = join(sources, 'card.webm');
  const picture =
    '-c:v libvpx -deadline realtime -cpu-used 8 -lag-in-frames 0 -error-resilient 1 -b:v 400k -g 30 -pix_fmt yuv420p';
  const made = `-t 10 ${picture} -c:a libopus -frame_duration 20`.split(' ');
  await promisify(execFile)('ffmpeg', ['-v', 'error', ...cardInputs(size), ...made, card]);
}, 120_000);
afterAll(() => rmSync(sources, { recursive: true }));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tapedeck-test-'));
  manifest = openManifest(folder);
  between = [];
});
afterEach(async () => {
  sender.kill('SIGKILL');
  await recording.end('STOPPED');
  for (const socket of between) socket.close();
  manifest.close();
  rmSync(folder, { recursive: true });
});

type Way = (packet: Buffer, send: (packet: Buffer) => void, count: number) => void;

/** Records one who publishes the test card; their pictures, or sounds, go through what a test puts in the way. */
async function record(ways: { AUDIO?: Way; VIDEO?: Way }): Promise<void> {
  const warnings = createWarningBoard(() => {});
  recording = recordPublication({
    participant: {
      mediaId: 'b.anna.0123456789ab',
      name: 'Anna',
      tracks: [
        { mid: '0', kind: 'AUDIO', codec: 'opus', source: 'microphone' },
        { mid: '1', kind: 'VIDEO', codec: 'vp8', source: 'camera' },
      ],
    },
    source: { address: '127.0.0.1', from: '127.0.0.1', forward, stopForward: async () => {} },
    ledger: createTrackLedger({ folder, manifest, warnings, note: () => {} }),
    ...{ ffmpeg: 'ffmpeg', folder },
  });

  async function forward(wishes: ForwardWish[]) {
    const [audio, video] = wishes as [ForwardWish, ForwardWish];
    const to = async ({ port }: ForwardWish, way?: Way) =>
      `rtp://127.0.0.1:${way ? await through(port, way) : port}?pkt_size=1200`;
    const sent = ({ payloadType, ssrc }: ForwardWish) =>
      `-c copy -payload_type ${payloadType} -ssrc ${ssrc} -f rtp`.split(' ');
    const picture = ['-map', '0:v', ...sent(video), await to(video, ways.VIDEO)];
    const sound = ['-map', '0:a', ...sent(audio), await to(audio, ways.AUDIO)];
    // To encode it while it is sent would take a machine without other work.
    const looped = ['-re', '-stream_loop', '-1', '-i', card];
    const args = ['-nostdin', '-v', 'error', ...looped, ...picture, ...sound];
    sender = spawn('ffmpeg', args, { stdio: ['ignore', 'ignore', 'inherit'] });
    return wishes.map(({ mid }) => ({ mid, streamId: mid, rtcpPort: null }));
  }
}

async function through(port: number, way: Way): Promise<number> {
  const socket = createSocket('udp4');
  between.push(socket);
  let count = 0;
  socket.on('message', (packet) => way(packet, (each) => socket.send(each, port, '127.0.0.1'), count++));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return (socket.address() as AddressInfo).port;
}

const ends = () => readManifest(folder).entries.filter((entry) => entry.type === 'track-ended');
const zeros = () => readManifest(folder).entries.filter((entry) => entry.type === 'track-first-media');
const grown = (track: number) =>
  expect.poll(() => statSync(join(folder, trackFile(track)), { throwIfNoEntry: false })?.size ?? 0, patience);

test('packets in disorder, and sent again, make the same pictures, in order', async () => {
  let held: Buffer[] = [];
  await record({
    VIDEO(packet, send, count) {
      held.push(Buffer.from(packet));
      // Three at a time, the last first, and one of them twice.
      if (count % 3 !== 2) return;
      for (const each of [...held.reverse(), held[0] as Buffer]) send(each);
      held = [];
    },
  });
  await grown(1).toBeGreaterThan(150_000);
  await recording.end('LEFT');
  expect(ends()).toMatchObject([{ cause: 'LEFT', bytes: statSync(join(folder, trackFile(1))).size }]);
  const frames = await readFrames(join(folder, trackFile(1)), size);
  const numbers = frames.map(({ number }) => number);
  expect(numbers.length).toBeGreaterThan(60);
  expect(numbers).not.toContain(null);
  expect(numbers.slice(1).filter((number, index) => number !== ((numbers[index] ?? 0) + 1) % cardFrames)).toEqual([]);
  expectTogether(readBeepsAndFlashes(frames, await readSound(join(folder, trackFile(1)))));
});

test('sound alone is recorded while there is no picture, and a camera that comes later begins the next file', async () => {
  let isOn = false;
  await record({
    VIDEO(packet, send) {
      if (isOn) send(packet);
    },
  });
  await grown(1).toBeGreaterThan(20_000);
  isOn = true;
  await grown(2).toBeGreaterThan(80_000);
  await recording.end('LEFT');
  const started = readManifest(folder).entries.filter((entry) => entry.type === 'track-started');
  expect(started.map(({ origin }) => origin.tracks.map(({ kind }) => kind))).toEqual([['AUDIO'], ['AUDIO', 'VIDEO']]);
  expect(ends()).toMatchObject([{ cause: 'CHANGED' }, { cause: 'LEFT' }]);
  const frames = await readFrames(join(folder, trackFile(2)), size);
  expectTogether(readBeepsAndFlashes(frames, await readSound(join(folder, trackFile(2)))));
});

test('what comes while no program writes is not lost: the next file begins where the one before was cut off', async () => {
  await record({});
  await grown(1).toBeGreaterThan(60_000);
  process.kill(writerOf(1), 'SIGKILL');
  await grown(2).toBeGreaterThan(60_000);
  await recording.end('LEFT');
  expect(ends()).toMatchObject([{ cause: 'WRITER_DIED' }, { cause: 'LEFT' }]);
  const [before, after] = await Promise.all([1, 2].map((track) => readFrames(join(folder, trackFile(track)), size)));
  // Up to a key frame, which comes once a second from one who cannot be asked for it, and the second that the writer held.
  const apart = ((after?.[0]?.number ?? 0) - (before?.at(-1)?.number ?? 0) + cardFrames) % cardFrames;
  expect(apart).toBeLessThan(90);
  const [first, second] = zeros();
  const told = (second?.at ?? 0) + (after?.[0]?.ptsMs ?? 0) - (first?.at ?? 0) - (before?.at(-1)?.ptsMs ?? 0);
  expect(Math.abs(told - (apart * 1000) / cardHz)).toBeLessThan(200);
});

test('what is still sent to a port for whoever was recorded there before is none of a track', async () => {
  await record({
    AUDIO(packet, send) {
      const stray = Buffer.from(packet);
      stray.writeUInt32BE(stray.readUInt32BE(8) ^ 1, 8);
      stray.writeUInt32BE((stray.readUInt32BE(4) - 1_000_000_000) >>> 0, 4);
      send(stray);
      send(packet);
    },
  });
  const startedAt = Date.now();
  await grown(1).toBeGreaterThan(60_000);
  await recording.end('LEFT');
  expect(ends()).toMatchObject([{ cause: 'LEFT' }]);
  expect(zeros()[0]?.at).toBeGreaterThan(startedAt - 5_000);
});

test('a program that hangs is replaced', async () => {
  await record({});
  await grown(1).toBeGreaterThan(30_000);
  process.kill(writerOf(1), 'SIGSTOP');
  await grown(2).toBeGreaterThan(30_000);
  expect(ends()).toMatchObject([{ cause: 'WRITER_DIED' }]);
});

test('a file of H.264 begins where its parameters are: with a picture of which they were missed none can be begun', () => {
  const [sps, pps, idr] = [
    [0x67, 0x42, 0xe0, 0x1f],
    [0x68, 0xce],
    [0x65, 0x88],
  ] as const;
  const together = (...units: (readonly number[])[]) =>
    Buffer.from([0x78, ...units.flatMap((unit) => [0, unit.length, ...unit])]);
  expect(beginsKeyFrame('h264', Buffer.from(sps))).toBe(true);
  expect(beginsKeyFrame('h264', together(sps, pps))).toBe(true);
  expect(beginsKeyFrame('h264', together(sps, pps, idr))).toBe(true);
  expect(beginsKeyFrame('h264', Buffer.from(idr))).toBe(false);
  // The first of a picture in several packets.
  expect(beginsKeyFrame('h264', Buffer.from([0x7c, 0x85, 0x88]))).toBe(false);
  expect(beginsKeyFrame('h264', together(pps, idr))).toBe(false);
});

test('a long silence is no other stream to who reads it, and a few lost packets are seen as lost', () => {
  const sequence = createSequence();
  expect([10, 11, 14, 12].map((number) => sequence.next(number))).toEqual([
    { sequence: 10, missing: 0 },
    { sequence: 11, missing: 0 },
    { sequence: 14, missing: 2 },
    { sequence: 12, missing: -1 },
  ]);
  expect(sequence.next(12)).toBeNull();
  expect(sequence.next(14 + 20_000)?.sequence).toBe(16);
  expect(sequence.next(14 + 20_001)).toEqual({ sequence: 17, missing: 0 });
  expect(createSequence().next(65_535)?.sequence).toBe(65_535);
});

test('the clock of a track is that of its fastest packets, follows slow devices, and sees jumps', () => {
  const clock = createTrackClock(48_000);
  const begin = 4_294_967_000;
  const packet = (index: number, lateMs: number, drift = 1) =>
    clock.see((begin + index * 960) >>> 0, 1_790_000_000_000 + index * 20 * drift + lateMs);
  for (let index = 0; index < 50; index++) expect(packet(index, index % 7 === 3 ? 0 : 60)).toBe(true);
  clock.settle();
  expect(clock.wallMs((begin + 960 * 50) >>> 0)).toBeCloseTo(1_790_000_001_000, 0);
  expect(clock.timestampAt(1_790_000_000_000)).toBe(begin);
  // 1 in 1000 slower than ours for ten minutes.
  for (let index = 50; index < 30_000; index++) expect(packet(index, 0, 1.001)).toBe(true);
  const behindMs = 1_790_000_000_000 + 29_999 * 20 * 1.001 - clock.wallMs((begin + 960 * 29_999) >>> 0);
  expect(behindMs).toBeGreaterThan(-1);
  expect(behindMs).toBeLessThan(40);
  expect(clock.see((begin + 960 * 30_000 + 48_000 * 60) >>> 0, 1_790_000_000_000 + 600_620)).toBe(false);
});

/** The ffmpeg that writes a file. */
function writerOf(track: number): number {
  const [pid] = pidsNaming(join(folder, trackFile(track)));
  return pid as number;
}
